import { duration } from "../../checks/builtin/builtin.ts";
import { explanationOf } from "../../checks/builtin/explain.ts";
import type { Finding, Status } from "../../checks/verdict.ts";
import { describeFleet } from "./fleet.ts";
import { Html, html } from "./html.ts";
import css from "./style.css" with { type: "text" };
import {
  acknowledgeHint,
  type ChecksView,
  type CheckView,
  type CollectorView,
  describeConfiguration,
  describeNothingJudged,
  type EventView,
  isJudged,
  type JudgedCheck,
  listProblems,
  type NodeStatus,
  type StatusView,
  type StuckView,
  toAdvice,
  toClock,
} from "./view.ts";

const findingsShown = 20;
const eventsShown = 15;
const acknowledgedShown = 10;
const refreshSeconds = 30;
const style = new Html(css);

/** The page for people on "/": what is wrong with this node, since when, and what to do. It works without scripts. */
export function renderStatusPage(view: StatusView, { telemetryPath }: { readonly telemetryPath: string }): string {
  const { hostname, status, checks, collectors, stuck, version, now, started_at: startedAt, events = [] } = view;
  const problems = listProblems(checks.checks);
  const nowMs = Date.parse(now);
  return html`<!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="refresh" content="${refreshSeconds}" />
        <title>${titleOf(status)}: ${hostname} – AAMI</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <header>
          <h1>${hostname}</h1>
          <p>AAMI node daemon ${version["version"]}, up for ${since(startedAt, nowMs)}; as of ${toClock(now)}</p>
        </header>
        ${banner(view, problems)} ${configurationSection(view)} ${fleetSection(view, nowMs)}
        ${problems.map((problem) => card(problem, checks, nowMs))} ${stuckSection(stuck)} ${sandboxSection(view)}
        ${collectorSection(collectors)} ${checkSection(checks.checks, nowMs)}
        ${acknowledgedSection(checks.acknowledged, nowMs)} ${eventSection(events, nowMs)}
        <footer>
          <a href="${telemetryPath}">Metrics</a><a href="/api/v1/status">Status as JSON</a><a href="/healthz">Health</a>
          <a href="/readyz">Readiness</a
          ><span class="dim">This page loads itself again every ${refreshSeconds} s.</span>
        </footer>
      </body>
    </html> `.text;
}

const titles: Readonly<Record<NodeStatus, string>> = {
  absent: "Nothing judged",
  ok: "OK",
  warning: "Warning",
  critical: "Critical",
  unknown: "Unknown",
};

function titleOf(status: NodeStatus): string {
  return titles[status];
}

function banner({ status, checks: { checks } }: StatusView, problems: readonly JudgedCheck[]): Html {
  const judged = checks.filter(isJudged).length;
  const waiting = checks.filter((check) => check.status === undefined).length;
  const counts = (["critical", "warning", "unknown"] as const).flatMap((each) => {
    const number = problems.filter((problem) => problem.status === each).length;
    return number === 0 ? [] : [`${number} ${each}`];
  });
  const text =
    judged === 0
      ? status === "absent"
        ? describeNothingJudged(checks)
        : "No check has run yet"
      : problems.length === 0
        ? `All ${judged} checks are well`
        : `${counts.join(", ")} of ${judged} checks`;
  const rest = waiting === 0 ? "" : `; ${waiting} have not run yet`;
  return html`<p class="banner ${status}"><span class="state">${titleOf(status)}</span> – ${text}${rest}</p>`;
}

function configurationSection({ configuration }: StatusView): Html | undefined {
  if (configuration === undefined) return undefined;
  return html`<ul class="fleet" title="Configuration">
    <li class="problem">${describeConfiguration(configuration)}</li>
  </ul>`;
}

/** What somebody has to look at stands out; where all is well it is one line among the small print. */
function fleetSection({ node }: StatusView, nowMs: number): Html | undefined {
  const lines = describeFleet(node, nowMs);
  if (lines.length === 0) return undefined;
  const rows = lines.map(({ text, isProblem }) => html`<li class="${isProblem ? "problem" : "dim"}">${text}</li>`);
  return html`<ul class="fleet" title="Control server">
    ${rows}
  </ul>`;
}

function card(problem: JudgedCheck, checks: ChecksView, nowMs: number): Html {
  const { name, status, since: began = "", summary = "", findings = [] } = problem;
  const shown = findings.slice(0, findingsShown).map((finding) => html`<li>${toLine(finding, status)}</li>`);
  const more = findings.length - shown.length;
  const hint = acknowledgeHint(problem, checks);
  const todo = toAdvice(problem).map(
    ({ text, about }) => html`<p><b>What to do${about && ` about ${about}`}:</b> ${withCode(text)}</p>`,
  );
  return html`<article class="card ${status}" id="check-${name}">
    <h3>
      <span class="state">${titleOf(status)}</span> <span>${name}</span
      ><span class="dim">for ${since(began, nowMs)}, since ${toClock(began)}</span>
    </h3>
    ${
      shown.length === 0
        ? html`<p>${summary === "" ? "The check gave no reason." : summary}</p>`
        : html`<ul>
            ${shown}
          </ul>`
    }
    ${more > 0 ? html`<p class="dim">and ${more} more, see <a href="/api/v1/status">the JSON</a></p>` : undefined}
    ${todo} ${hint && html`<p class="dim">Dealt with? <code>${hint}</code></p>`} ${explanation(name)}
  </article>`;
}

/** The status is said where it is not the card's. */
function toLine({ status, subject, summary }: Finding, shown: Status): Html {
  const label = status === shown ? undefined : html`<span class="state ${status}">${titleOf(status)}</span>: `;
  return html`${label}${subject === "" ? undefined : html`<b>${subject}</b>: `}${summary}`;
}

function explanation(name: string): Html | undefined {
  const paragraphs = explanationOf(name);
  if (paragraphs === undefined) return undefined;
  return html`<details>
    <summary>What this means</summary>
    ${paragraphs.map((text) => html`<p>${withCode(text)}</p>`)}
  </details>`;
}

/** Explanations mark what is to be typed with backticks. */
function withCode(text: string): Html[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

function stuckSection(stuck: readonly StuckView[]): Html | undefined {
  if (stuck.length === 0) return undefined;
  const rows = stuck.map(({ job, step, pid, kernel_function: where, duration_seconds: seconds }) => {
    const inKernel = where === undefined ? "" : ` in ${where}`;
    return html`<li>${job}: ${step}, process ${pid}${inKernel}, for ${duration(seconds)}</li>`;
  });
  return html`<h2>Probes that hang in the kernel</h2>
    <ul>
      ${rows}
    </ul>`;
}

function sandboxSection({ checks: { sandbox } }: StatusView): Html | undefined {
  if (sandbox?.ok !== false) return undefined;
  const problems = sandbox.problems.map((problem) => html`<li>${problem}</li>`);
  return html`<h2>Check scripts do not run: no sandbox</h2>
    <ul>
      ${problems}
    </ul>`;
}

function collectorSection(collectors: Readonly<Record<string, CollectorView>>): Html {
  const all = Object.entries(collectors).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const bad = all.filter(([, { state }]) => state === "failed" || state === "timeout");
  const states = ["ok", "absent", "failed", "timeout"].flatMap((state) => {
    const number = all.filter(([, collector]) => collector.state === state).length;
    return number === 0 ? [] : [`${number} ${state}`];
  });
  const unread = all.filter(([, { state }]) => state === undefined).length;
  const line = [...states, ...(unread === 0 ? [] : [`${unread} not asked yet`])].join(", ");
  return html`<h2>Collectors</h2>
    ${bad.length === 0 ? undefined : collectorTable(bad)}
    <details>
      <summary>${line}</summary>
      ${collectorTable(all)}
    </details>`;
}

function collectorTable(rows: readonly (readonly [string, CollectorView])[]): Html {
  const lines = rows.map(
    ([name, { state = "not asked yet", duration_seconds: seconds, series, error }]) =>
      html`<tr>
        <td>${name}</td>
        <td class="nowrap"><span class="state ${state}">${state}</span></td>
        <td class="number">${(seconds * 1000).toFixed(1)} ms</td>
        <td class="number">${series}</td>
        <td>${error}</td>
      </tr>`,
  );
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th>Collector</th>
          <th>State</th>
          <th class="number">Took</th>
          <th class="number">Series</th>
          <th>Reason</th>
        </tr>
      </thead>
      <tbody>
        ${lines}
      </tbody>
    </table>
  </div>`;
}

function checkSection(checks: readonly CheckView[], nowMs: number): Html {
  const well = checks.filter(({ status }) => status === "ok");
  const rest = checks.filter(({ status }) => status === undefined || status === "absent");
  const row = ({ name, status, since: began, summary }: CheckView): Html =>
    html`<tr>
      <td>${name}</td>
      <td class="nowrap"><span class="state ${status}">${status}</span></td>
      <td class="nowrap">${began === undefined ? "" : since(began, nowMs)}</td>
      <td>${summary}</td>
    </tr>`;
  return html`<h2>Other checks</h2>
    <details>
      <summary>${well.length} ok, ${rest.length} with nothing to judge</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Check</th>
              <th>State</th>
              <th>For</th>
              <th>Summary</th>
            </tr>
          </thead>
          <tbody>
            ${[...well, ...rest].map(row)}
          </tbody>
        </table>
      </div>
    </details>`;
}

function acknowledgedSection(acknowledged: ChecksView["acknowledged"] = [], nowMs: number): Html | undefined {
  if (acknowledged.length === 0) return undefined;
  const rows = acknowledged
    .slice(0, acknowledgedShown)
    .map(
      ({ check, subject, at, by, note }) =>
        html`<li>
          ${check}${subject === "" ? "" : `, ${subject}`}: ${since(at, nowMs)} ago by ${by}${note && `, ${note}`}
        </li>`,
    );
  return html`<h2>Acknowledged</h2>
    <p class="dim">Not shown above; what happens again is.</p>
    <ul>
      ${rows}
    </ul>`;
}

function eventSection(events: readonly EventView[], nowMs: number): Html | undefined {
  const shown = events.slice(0, eventsShown).map(
    ({ at, kind, severity, device, code, message }) =>
      html`<tr>
        <td class="nowrap">${since(at, nowMs)} ago</td>
        <td class="nowrap">
          <span class="state ${severity === "fatal" ? "critical" : severity}">${severity}</span>
        </td>
        <td class="nowrap">${kind}${code === undefined ? "" : ` ${code}`}</td>
        <td class="nowrap">${device}</td>
        <td>${message}</td>
      </tr>`,
  );
  if (shown.length === 0) return undefined;
  return html`<h2>Latest events of the hardware</h2>
    <div class="scroll">
      <table class="events">
        <thead>
          <tr>
            <th>When</th>
            <th>Severity</th>
            <th>Event</th>
            <th>Device</th>
            <th>Message</th>
          </tr>
        </thead>
        <tbody>
          ${shown}
        </tbody>
      </table>
    </div>`;
}

function since(time: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(time)) / 1000;
  return Number.isNaN(seconds) ? "an unknown time" : duration(seconds);
}
