import { duration } from "../../checks/builtin/builtin.ts";
import { describeFleet } from "./fleet.ts";
import {
  acknowledgeHint,
  type CheckView,
  type ChecksView,
  describeConfiguration,
  describeNothingJudged,
  isJudged,
  listProblems,
  type StatusView,
  toAdvice,
} from "./view.ts";

const findingsShown = 20;
const acknowledgedShown = 5;

/** What `aami status` prints: the node in a line, then what is wrong, since when, and what to do. */
export function renderStatusText(view: StatusView, { all }: { readonly all: boolean }): string {
  const { hostname, status, checks, stuck, now, started_at: startedAt, version, configuration } = view;
  const nowMs = Date.parse(now);
  const problems = listProblems(checks.checks);
  const judged = checks.checks.filter(isJudged).length;
  const lines = [
    status === "absent"
      ? `${hostname}: ${describeNothingJudged(checks.checks)}`
      : `${hostname}: ${status}, ${problems.length} of ${judged} checks not ok`,
    `aami ${version["version"]}, up for ${age(startedAt, nowMs)}`,
    ...(configuration === undefined ? [] : [`! ${describeConfiguration(configuration)}`]),
    ...describeFleet(view.node, nowMs).map(({ text, isProblem }) => `${isProblem ? "! " : ""}${text}`),
    "",
    ...problems.flatMap((problem) => describeProblem(problem, view.checks, nowMs)),
  ];
  for (const { job, step, pid, duration_seconds: seconds } of stuck) {
    lines.push(`stuck: ${job} in ${step}, process ${pid}, for ${duration(seconds)}`);
  }
  if (checks.sandbox?.ok === false) lines.push(`no sandbox: ${checks.sandbox.problems.join("; ")}`);
  lines.push(...describeAcknowledged(view, all), ...describeCollectors(view, all));
  if (all) lines.push("", ...describeRest(checks.checks));
  return `${printable(lines.join("\n")).trimEnd()}\n`;
}

function describeProblem(
  problem: CheckView & { readonly status: string },
  checks: ChecksView,
  nowMs: number,
): string[] {
  const { name, status, since = "", summary = "", findings = [] } = problem;
  const lines = findings.slice(0, findingsShown).map((finding) => {
    const label = finding.status === status ? "" : `${finding.status}: `;
    return `  - ${label}${finding.subject === "" ? "" : `${finding.subject}: `}${finding.summary}`;
  });
  if (lines.length === 0) lines.push(`  - ${summary === "" ? "the check gave no reason" : summary}`);
  if (findings.length > findingsShown) lines.push(`  - and ${findings.length - findingsShown} more, see --json`);
  const actions = toAdvice(problem).map(({ text, about }) => `  > ${about && `${about}: `}${text}`);
  const hint = acknowledgeHint(problem, checks);
  const after = hint === undefined ? [] : [`  > Dealt with? ${hint}`];
  return [`${status.toUpperCase()} ${name}, for ${age(since, nowMs)}`, ...lines, ...actions, ...after, ""];
}

/** The latest few: what they hide is what one would ask about. */
function describeAcknowledged({ checks: { acknowledged = [] }, now }: StatusView, all: boolean): string[] {
  const shown = all ? acknowledged : acknowledged.slice(0, acknowledgedShown);
  return shown.map(({ check, subject, at, by, note }) => {
    const what = subject === "" ? check : `${check}, ${subject}`;
    return `acknowledged: ${what}, ${age(at, Date.parse(now))} ago by ${by}${note === "" ? "" : `: ${note}`}`;
  });
}

function describeCollectors({ collectors }: StatusView, all: boolean): string[] {
  const names = Object.entries(collectors).filter(([, { state }]) => all || state === "failed" || state === "timeout");
  if (names.length === 0) return [];
  return names.map(([name, { state = "not asked yet", error }]) => {
    return `collector ${name}: ${state}${error === undefined ? "" : `, ${error}`}`;
  });
}

function describeRest(checks: readonly CheckView[]): string[] {
  return checks
    .filter(({ status }) => status === undefined || status === "ok" || status === "absent")
    .map(({ name, status = "not run yet", summary = "" }) => `check ${name}: ${status}${summary && `, ${summary}`}`);
}

function age(time: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(time)) / 1000;
  return Number.isNaN(seconds) ? "an unknown time" : duration(seconds);
}

/** Summaries may hold what a script or a file name says; no terminal obeys it. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "?");
}
