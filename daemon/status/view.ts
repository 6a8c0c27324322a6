import { hostname } from "node:os";
import { type CheckState, currentStatus, isAbsent } from "../../checks/metrics.ts";
import type { Acknowledgement } from "../../checks/acknowledgements.ts";
import type { SandboxReport } from "../../checks/service.ts";
import { actionTexts } from "../../checks/catalogue/catalogue.ts";
import { type Action, type Finding, type Status, worseFirst } from "../../checks/verdict.ts";
import type { HardwareEvent } from "../../collectors/events.ts";
import type { StuckJob } from "../../collectors/probe/abandonment.ts";
import { buildInfo } from "../../runtime/version.ts";
import { defaultStateDirectory } from "../control.ts";
import type { NodeView } from "../node/status.ts";
import type { SlotStatus } from "../scrape/slot.ts";

/** The answer of GET /api/v1/status. Keys are snake_case with units, times ISO 8601; what is not known is absent. */
export interface StatusView {
  readonly hostname: string;
  /** The worst of the checks that have something to judge; `absent` where none has, `unknown` before the first has run. */
  readonly status: NodeStatus;
  readonly now: string;
  readonly started_at: string;
  readonly ready: boolean;
  readonly version: Readonly<Record<string, string>>;
  readonly checks: ChecksView;
  readonly collectors: Readonly<Record<string, CollectorView>>;
  readonly stuck: readonly StuckView[];
  readonly probe_processes: { readonly running: number; readonly abandoned: number };
  /** Registration and policies, on a node with a state directory. */
  readonly node?: NodeView;
  /** When not all of the configuration that was read last is in force. */
  readonly configuration?: ConfigurationView;
  readonly events: readonly EventView[];
}

export type NodeStatus = Status | "absent";

export interface ConfigurationView {
  readonly not_in_force_since: string;
  readonly reason: string;
}

export interface ChecksView {
  readonly sandbox?: SandboxView;
  readonly checks: readonly CheckView[];
  /** Where the daemon takes acknowledgements; absent where it keeps no state. */
  readonly state_directory?: string;
  /** What operators have dealt with, the newest first. */
  readonly acknowledged?: readonly AcknowledgementView[];
}

export interface AcknowledgementView {
  readonly check: string;
  readonly subject: string;
  readonly at: string;
  readonly by: string;
  readonly note: string;
  /** What happened later is judged. */
  readonly until: string;
}

export interface SandboxView {
  readonly ok?: boolean;
  readonly problems: readonly string[];
  readonly user?: string;
  readonly cgroup?: string;
  readonly kernel_limits?: readonly string[];
}

export interface CheckView {
  readonly name: string;
  /** `absent`: a builtin check on a node without what it judges. Absent key: it has not run yet. */
  readonly status?: Status | "absent";
  readonly since?: string;
  readonly summary?: string;
  readonly action?: Action;
  readonly findings?: readonly Finding[];
  readonly language: string;
  readonly source: string;
  readonly policy_id?: string;
  readonly group_id?: string;
  readonly running: boolean;
  readonly stale: boolean;
  readonly age_seconds?: number;
  readonly next_run_seconds: number;
  readonly skipped_runs: number;
  readonly outcome?: string;
  readonly exit_code?: number;
  readonly error?: string;
  readonly duration_seconds?: number;
  readonly started_at?: string;
}

export interface CollectorView {
  /** Absent before the first reading. */
  readonly state?: string;
  readonly duration_seconds: number;
  readonly series: number;
  readonly error?: string;
  readonly skipped_total: number;
}

export interface StuckView {
  readonly job: string;
  readonly step: string;
  readonly pid: number;
  readonly kernel_function?: string;
  readonly duration_seconds: number;
}

export type EventView = Omit<HardwareEvent, "key" | "atMs"> & { readonly at: string };

export interface StatusFacts {
  readonly startedAt: number;
  readonly ready: boolean;
  readonly checks: ChecksView;
  readonly collectors: Readonly<Record<string, SlotStatus>>;
  readonly stuck: readonly StuckJob[];
  readonly processes: StatusView["probe_processes"];
  readonly node: NodeView | undefined;
  readonly configuration: ConfigurationView | undefined;
  /** Oldest first. */
  readonly events: readonly HardwareEvent[];
  readonly now?: Date;
}

const eventsShown = 100;

export function toStatusView(facts: StatusFacts): StatusView {
  const {
    startedAt,
    ready,
    checks,
    collectors,
    stuck,
    processes,
    node,
    configuration,
    events,
    now = new Date(),
  } = facts;
  const { version, revision, branch, buildDate, runtime, platform } = buildInfo;
  return {
    hostname: hostname(),
    status: overallStatus(checks.checks),
    now: now.toISOString(),
    started_at: new Date(startedAt).toISOString(),
    ready,
    version: { version, revision, branch, build_date: buildDate, runtime, platform },
    checks,
    collectors: toCollectorViews(collectors),
    stuck: stuck.map(toStuckView),
    probe_processes: processes,
    ...(node !== undefined && { node }),
    ...(configuration !== undefined && { configuration }),
    events: events.slice(-eventsShown).reverse().map(toEventView),
  };
}

/** Without the script and its series: those are on the page of metrics. */
export function toCheckView(state: CheckState): CheckView {
  const { definition, result, ageSeconds, stale, running, nextRunSeconds, skippedRuns } = state;
  const { name, language, source, policyId, groupId } = definition;
  return {
    name,
    ...(result && toResultView(state, result)),
    language,
    source,
    ...(policyId !== undefined && { policy_id: policyId }),
    ...(groupId !== undefined && { group_id: groupId }),
    running,
    stale,
    ...(ageSeconds !== undefined && { age_seconds: round(ageSeconds) }),
    next_run_seconds: round(nextRunSeconds),
    skipped_runs: skippedRuns,
  };
}

function toResultView(state: CheckState, result: NonNullable<CheckState["result"]>): Partial<CheckView> {
  const { since, startedAt, verdict, message, stderr, outcome, exitCode, error, durationSeconds } = result;
  const stale = `no result for ${Math.round(state.ageSeconds ?? 0)} s, the last: `;
  const summary = verdict?.summary ?? message ?? firstLine(stderr) ?? "";
  return {
    status: isAbsent(state) ? "absent" : currentStatus(state),
    since: since ?? startedAt,
    summary: `${state.stale ? stale : ""}${summary}`,
    // What was found so long ago says nothing about now.
    ...(verdict && !state.stale && { action: verdict.action, findings: verdict.findings }),
    outcome,
    ...(exitCode !== undefined && { exit_code: exitCode }),
    ...(error !== undefined && { error }),
    duration_seconds: round(durationSeconds),
    started_at: startedAt,
  };
}

function firstLine(text: string | undefined): string | undefined {
  return text?.split("\n", 1)[0];
}

export function toSandboxView({ ok, problems, facts }: SandboxReport): SandboxView {
  return {
    ...(ok !== undefined && { ok }),
    problems,
    ...(facts && { user: facts.user, cgroup: facts.cgroup, kernel_limits: facts.kernelLimits }),
  };
}

export function toCollectorViews(slots: Readonly<Record<string, SlotStatus>>): Record<string, CollectorView> {
  return Object.fromEntries(
    Object.entries(slots).map(([name, { state, durationSeconds, series, error, skippedTotal }]) => [
      name,
      {
        ...(state !== undefined && { state }),
        duration_seconds: round(durationSeconds, 6),
        series,
        ...(error !== undefined && { error }),
        skipped_total: skippedTotal,
      },
    ]),
  );
}

export function toAcknowledgementView({ untilMs, atMs, ...rest }: Acknowledgement): AcknowledgementView {
  return { ...rest, at: new Date(atMs).toISOString(), until: new Date(untilMs).toISOString() };
}

export function toStuckView({ job, step, pid, wchan, sinceMs }: StuckJob): StuckView {
  return {
    job,
    step,
    pid,
    ...(wchan !== undefined && { kernel_function: wchan }),
    duration_seconds: round(sinceMs / 1000),
  };
}

export function toEventView({ key: _key, atMs, ...event }: HardwareEvent): EventView {
  return { at: new Date(atMs).toISOString(), ...event };
}

export function describeConfiguration({ not_in_force_since: since, reason }: ConfigurationView): string {
  return `not all of the configuration file is in force, since ${toClock(since)}: ${reason}`;
}

/** "2026-11-20 12:00:00 UTC" */
export function toClock(time: string): string {
  return `${time.slice(0, 19).replace("T", " ")} UTC`;
}

/** A check with a verdict on this node. */
export type JudgedCheck = CheckView & { readonly status: Status };

export function isJudged(check: CheckView): check is JudgedCheck {
  return check.status !== undefined && check.status !== "absent";
}

/** The worst of them. */
export function overallStatus(checks: readonly CheckView[]): NodeStatus {
  const [worst] = checks.filter(isJudged).toSorted(worseFirst);
  return worst?.status ?? (checks.some(({ status }) => status === undefined) ? "unknown" : "absent");
}

/** For a node that is `absent`. */
export function describeNothingJudged(checks: readonly CheckView[]): string {
  return checks.length === 0 ? "no checks run here" : "no check has anything to judge here";
}

/** What is wrong, the worst first, among equals what has been so for the shortest time. */
export function listProblems(checks: readonly CheckView[]): JudgedCheck[] {
  return checks
    .filter(isJudged)
    .filter(({ status }) => status !== "ok")
    .toSorted((a, b) => worseFirst(a, b) || (b.since ?? "").localeCompare(a.since ?? ""));
}

export interface Advice {
  readonly text: string;
  /** What it is about, where a check has more than one advice; otherwise empty. */
  readonly about: string;
}

const subjectsNamed = 3;

/** What to do, the worst finding's first, each once. Of one subject the worst finding decides. */
export function toAdvice({ action = "none", findings = [] }: CheckView): Advice[] {
  const worst = new Map<string, Finding>();
  for (const finding of findings) if (!worst.has(finding.subject)) worst.set(finding.subject, finding);
  const asking = [...worst.values()].filter((finding) => finding.action !== "none");
  const byText = Map.groupBy(asking, (finding) => finding.remedy ?? actionTexts[finding.action]);
  if (byText.size === 0) return action === "none" ? [] : [{ text: actionTexts[action], about: "" }];
  return [...byText].map(([text, about]) => {
    const subjects = about.map(({ subject }) => (subject === "" ? "the node" : subject));
    const more = subjects.length - subjectsNamed;
    const named = subjects.slice(0, subjectsNamed).join(", ");
    return { text, about: byText.size === 1 ? "" : more > 0 ? `${named} and ${more} more` : named };
  });
}

/** What to type when it has been dealt with; undefined where there is nothing to acknowledge, or nobody who takes it. */
export function acknowledgeHint(
  { name, findings = [] }: CheckView,
  { state_directory: directory }: ChecksView,
): string | undefined {
  if (directory === undefined || findings.every(({ at }) => at === undefined)) return undefined;
  const option = directory === defaultStateDirectory ? "" : ` --state-directory ${Bun.$.escape(directory)}`;
  return `aami acknowledge ${name} --note TEXT${option}`;
}

function round(seconds: number, digits = 3): number {
  return Number(seconds.toFixed(digits));
}
