import type { MetricFamily, MetricType, Sample } from "../collectors/collector.ts";
import { type CheckDefinition, type CheckResult, statusOf } from "./check.ts";
import { countSeries } from "./output.ts";
import { type Status, statuses } from "./verdict.ts";

/** One check as the status page, `aami status` and the page of metrics show it. */
export interface CheckState {
  readonly definition: CheckDefinition;
  readonly result: CheckResult | undefined;
  readonly ageSeconds: number | undefined;
  /** Too old to be shown as the state of the node: its series are no longer published. */
  readonly stale: boolean;
  readonly running: boolean;
  readonly nextRunSeconds: number;
  readonly periodSeconds: number;
  readonly runs: ReadonlyMap<string, number>;
  readonly skippedRuns: number;
}

/** What the check says now; a result that is too old, or that never came, says nothing. */
export function currentStatus({ result, stale }: CheckState): Status {
  return result === undefined || stale ? "unknown" : statusOf(result);
}

/** A builtin check on a node that has nothing for it to judge: no GPU, no InfiniBand. */
export function isAbsent({ result }: CheckState): boolean {
  return result?.outcome === "absent";
}

/** What the checks published, followed by what the daemon says about each of them. */
export function checkFamilies(states: readonly CheckState[]): MetricFamily[] {
  const published = states.filter(({ stale }) => !stale).flatMap(({ result }) => result?.families ?? []);
  return [...withOneTypeEach(published), ...ownFamilies(states.filter((state) => !isAbsent(state)))];
}

/**
 * Two checks may print one name with different types; the page can state only one. The first stands, and where they
 * differ the family becomes untyped, which is true of both.
 */
function withOneTypeEach(families: readonly MetricFamily[]): MetricFamily[] {
  const types = new Map<string, MetricType>();
  for (const { name, type } of families) {
    const known = types.get(name);
    types.set(name, known === undefined || known === type ? type : "untyped");
  }
  return families.map((family) => ({ ...family, type: types.get(family.name) ?? family.type }));
}

function ownFamilies(states: readonly CheckState[]): MetricFamily[] {
  const withResult = states.flatMap(({ definition, result }) => (result === undefined ? [] : [{ definition, result }]));
  const failed = withResult.filter(({ result }) => result.error !== undefined);
  const perResult = (value: (result: CheckResult) => number | undefined): Sample[] =>
    withResult.flatMap(({ definition, result }) => sampleOf(definition.name, value(result)));
  // What only a process can have: exit codes, output, processes left behind.
  const perScript = (value: (result: CheckResult) => number | undefined): Sample[] =>
    withResult.flatMap(({ definition, result }) =>
      definition.language === "builtin" ? [] : sampleOf(definition.name, value(result)),
    );
  const perCheck = (value: (state: CheckState) => number): Sample[] =>
    states.flatMap((state) => sampleOf(state.definition.name, value(state)));
  return [
    gauge("aami_check_info", "A check of this node and where it comes from.", states.map(infoSample)),
    ...statusFamilies(states),
    gauge(
      "aami_check_interval_seconds",
      "Time between two runs of the check.",
      perCheck((s) => s.periodSeconds),
    ),
    gauge(
      "aami_check_last_run_timestamp_seconds",
      "When the last run of the check began, in seconds since 1970.",
      perResult((result) => Date.parse(result.startedAt) / 1000),
    ),
    gauge(
      "aami_check_duration_seconds",
      "How long the last run took.",
      perResult((r) => r.durationSeconds),
    ),
    gauge(
      "aami_check_success",
      "Whether the last run ended with 0 and its output was valid.",
      perResult((result) => (result.error === undefined ? 1 : 0)),
    ),
    gauge(
      "aami_check_exit_code",
      "Exit code of the last run, if it came to an end.",
      perScript((r) => r.exitCode),
    ),
    gauge(
      "aami_check_error",
      "Why the last run of the check failed; absent when it did not.",
      failed.map(({ definition, result }) => ({
        labels: { check: definition.name, reason: result.error ?? "" },
        value: 1,
      })),
    ),
    gauge(
      "aami_check_stuck",
      "Whether a process of the check survives every signal; the check is not started again until it is gone.",
      perScript((result) => (result.outcome === "stuck" ? 1 : 0)),
    ),
    gauge(
      "aami_check_series",
      "Series published by the last run.",
      perScript((r) => countSeries(r.families)),
    ),
    {
      name: "aami_check_runs_total",
      help: "Runs of the check by the way they ended.",
      type: "counter",
      samples: states.flatMap(({ definition, runs }) =>
        [...runs].map(([outcome, value]) => ({ labels: { check: definition.name, outcome }, value })),
      ),
    },
    {
      name: "aami_check_skipped_runs_total",
      help: "Runs left out because the one before had not ended.",
      type: "counter",
      samples: perCheck(({ skippedRuns }) => skippedRuns),
    },
    // Published without a type: the name was fixed by AAMI's first check runner, and _total means counter elsewhere.
    {
      name: "aami_checks_total",
      help: "Checks of this node.",
      type: "untyped",
      samples: [{ labels: {}, value: states.length }],
    },
    gauge("aami_checks_success", "Checks whose last run succeeded.", [
      { labels: {}, value: withResult.length - failed.length },
    ]),
    gauge("aami_checks_failed", "Checks whose last run failed.", [{ labels: {}, value: failed.length }]),
  ];
}

/** The verdicts. A check that has not run yet has none. */
function statusFamilies(states: readonly CheckState[]): MetricFamily[] {
  const judged = states.flatMap((state) => (state.result === undefined ? [] : [{ state, result: state.result }]));
  const perStatus = ({ state }: (typeof judged)[number]): Sample[] => {
    const current = currentStatus(state);
    return statuses.map((status) => ({
      labels: { check: state.definition.name, status },
      value: status === current ? 1 : 0,
    }));
  };
  const since = judged.flatMap(({ state, result }) =>
    sampleOf(state.definition.name, Date.parse(result.since ?? result.startedAt) / 1000),
  );
  const actions = judged.flatMap(({ state, result }) => {
    const action = state.stale ? "none" : (result.verdict?.action ?? "none");
    return action === "none" ? [] : [{ labels: { check: state.definition.name, action }, value: 1 }];
  });
  const findings = judged.flatMap(({ state, result }) =>
    result.verdict === undefined || state.stale ? [] : sampleOf(state.definition.name, result.verdict.findings.length),
  );
  return [
    gauge("aami_check_status", "What the check says: 1 for the one status it is in.", judged.flatMap(perStatus)),
    gauge("aami_check_status_since_timestamp_seconds", "When the status became what it is.", since),
    gauge("aami_check_findings", "Things that a builtin check found wrong.", findings),
    gauge("aami_check_suggested_action", "What to do about the worst finding of a builtin check.", actions),
  ];
}

function infoSample({ definition }: CheckState): Sample {
  const { name, language, source, policyId, groupId, scriptSha256 } = definition;
  const labels: Record<string, string> = { check: name, language, source };
  if (language !== "builtin") labels["script_sha256"] = scriptSha256;
  if (policyId !== undefined) labels["policy_id"] = policyId;
  // Not `group_id`: Prometheus sets that from service discovery and would rename this one.
  if (groupId !== undefined) labels["policy_group_id"] = groupId;
  return { labels, value: 1 };
}

function sampleOf(check: string, value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: { check }, value }];
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: "gauge", samples };
}
