import type { MetricFamily } from "../collectors/collector.ts";
import type { Logger } from "../runtime/log.ts";
import { type CheckDefinition, type CheckResult, type CheckRun, definitionKey, noRun, statusOf } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { checkFamilies, type CheckState } from "./metrics.ts";
import { toResult } from "./result.ts";
import { createSeriesMemory, type SeriesMemory } from "./series-memory.ts";
import { createTiming, jitterOf, scheduleProblem, type Timing } from "./timing.ts";

export interface CheckScheduler {
  /**
   * Makes exactly these the checks of the node. Unchanged ones keep their timing and results, removed ones lose their
   * series at once, changed ones keep the last result until the new definition has run.
   */
  replace(definitions: readonly CheckDefinition[]): void;
  /** Series of all checks and what the schedule says about them: the same array as before while there is nothing new. */
  families(): readonly MetricFamily[];
  status(): CheckState[];
  /** Runs this check now, as far as others leave room; an interval counts from then. */
  runSoon(check: string): void;
  /** Runs nothing more and kills what runs; resolves when that is done. */
  stop(): Promise<void>;
}

export interface SchedulerOptions {
  /** Seed of the jitter; any stable name of this node. */
  readonly nodeId: string;
  readonly concurrency: number;
  readonly maxSeries: number;
  /** Never rejects; ends early when the signal is aborted. */
  run(definition: CheckDefinition, signal: AbortSignal): Promise<CheckRun>;
  /** Called with every result, to be stored; what it stored comes back as `restored` at the next start. */
  readonly onResult?: (result: CheckResult) => void;
  readonly restored?: readonly CheckResult[];
  readonly log: Logger;
  readonly clock?: Clock;
}

interface Entry {
  readonly definition: CheckDefinition;
  readonly key: string;
  readonly timing: Timing | undefined;
  readonly seriesMemory: SeriesMemory;
  readonly runs: Map<string, number>;
  due: number;
  running: AbortController | undefined;
  skippedRuns: number;
  result: CheckResult | undefined;
  /** On the monotonic clock; for a restored result it may lie before the start of this process. */
  resultAt: number;
}

interface Schedule {
  readonly options: SchedulerOptions;
  readonly clock: Clock;
  /** Of checks that have not been here since the start. */
  readonly restored: Map<string, CheckResult>;
  entries: Map<string, Entry>;
  /** Counts the changes of what the entries say on a page, but for results that grow stale. */
  changes: number;
  /** Due, and waiting for one of the `concurrency` places. */
  readonly waiting: Entry[];
  readonly active: Set<Promise<void>>;
  cancelTimer: () => void;
  stopped: boolean;
}

/** The wall clock may be set while a check waits for its cron time, so no timer is longer than this. */
const longestTimerSeconds = 60;
const shortestStaleAfterSeconds = 300;

export function createCheckScheduler(options: SchedulerOptions): CheckScheduler {
  const schedule: Schedule = {
    options,
    clock: options.clock ?? systemClock,
    restored: new Map((options.restored ?? []).map((result) => [result.check, result])),
    entries: new Map(),
    changes: 0,
    waiting: [],
    active: new Set(),
    cancelTimer: () => {},
    stopped: false,
  };
  const states = () => [...schedule.entries.values()].map((entry) => stateOf(entry, schedule.clock));
  const families = createScheduleFamilies(schedule, states);
  return {
    replace: (definitions) => {
      if (!schedule.stopped) replaceEntries(schedule, definitions);
    },
    families,
    status: states,
    runSoon: (check) => {
      const entry = schedule.entries.get(check);
      if (entry === undefined || schedule.stopped) return;
      entry.due = Math.min(entry.due, schedule.clock.monotonicSeconds());
      tick(schedule);
    },
    stop: async () => {
      schedule.stopped = true;
      schedule.cancelTimer();
      schedule.waiting.length = 0;
      for (const { running } of schedule.entries.values()) running?.abort();
      await Promise.all(schedule.active);
    },
  };
}

/** Pages come more often than results. */
function createScheduleFamilies(
  schedule: Schedule,
  states: () => readonly CheckState[],
): () => readonly MetricFamily[] {
  let families: readonly MetricFamily[] = [];
  let changes = Number.NaN;
  let validUntil = Number.POSITIVE_INFINITY;
  return () => {
    const now = schedule.clock.monotonicSeconds();
    if (changes === schedule.changes && now <= validUntil) return families;
    families = checkFamilies(states());
    ({ changes } = schedule);
    validUntil = Math.min(...[...schedule.entries.values()].map(staleAt).filter((at) => at >= now));
    return families;
  };
}

function replaceEntries(schedule: Schedule, definitions: readonly CheckDefinition[]): void {
  const { entries, waiting } = schedule;
  const next = new Map<string, Entry>();
  const refused: [Entry, string][] = [];
  for (const definition of definitions) {
    const key = definitionKey(definition);
    const previous = entries.get(definition.name);
    const unchanged = previous?.key === key;
    const problem = unchanged ? undefined : scheduleProblem(definition.schedule);
    const entry = unchanged ? previous : createEntry(schedule, { definition, key, previous, problem });
    next.set(definition.name, entry);
    if (problem !== undefined) refused.push([entry, problem]);
  }
  schedule.entries = next;
  schedule.changes++;
  for (const entry of entries.values()) {
    if (next.get(entry.definition.name) === entry) continue;
    entry.running?.abort();
    const index = waiting.indexOf(entry);
    if (index >= 0) waiting.splice(index, 1);
  }
  for (const [entry, problem] of refused)
    record(schedule, entry, { run: noRun("refused", problem), startedAt: schedule.clock.now() });
  tick(schedule);
}

interface NewEntry {
  readonly definition: CheckDefinition;
  readonly key: string;
  readonly previous: Entry | undefined;
  /** Why it can never be due. */
  readonly problem: string | undefined;
}

function createEntry({ options, clock, restored }: Schedule, { definition, key, previous, problem }: NewEntry): Entry {
  const jitter = jitterOf(options.nodeId, definition.name);
  const timing = problem === undefined ? createTiming(definition, jitter, clock) : undefined;
  const stored = previous === undefined ? restored.get(definition.name) : undefined;
  const known = stored?.definition === key ? stored : undefined;
  restored.delete(definition.name);
  const ageSeconds = known === undefined ? 0 : (clock.now().getTime() - Date.parse(known.startedAt)) / 1000;
  return {
    definition,
    key,
    timing,
    seriesMemory: createSeriesMemory(options.maxSeries),
    runs: previous?.runs ?? new Map(),
    due: timing?.firstDue ?? Number.POSITIVE_INFINITY,
    running: undefined,
    skippedRuns: previous?.skippedRuns ?? 0,
    result: previous?.result ?? known,
    resultAt: previous?.resultAt ?? clock.monotonicSeconds() - Math.max(0, ageSeconds),
  };
}

/** Starts what is due, and sets the timer for what is due next. */
function tick(schedule: Schedule): void {
  const { clock, entries, waiting } = schedule;
  schedule.cancelTimer();
  if (schedule.stopped || entries.size === 0) return;
  const now = clock.monotonicSeconds();
  for (const entry of entries.values()) {
    if (entry.timing === undefined) continue;
    if (entry.due > now + 1) entry.due = entry.timing.refresh?.() ?? entry.due;
    if (entry.due > now) continue;
    entry.due = entry.timing.next(entry.due);
    // Never two runs of one check at once: a check slower than its interval loses the runs in between.
    if (entry.running === undefined && !waiting.includes(entry)) {
      waiting.push(entry);
      continue;
    }
    entry.skippedRuns += 1;
    schedule.changes++;
  }
  startWaiting(schedule);
  const nextDue = Math.min(...[...entries.values()].map(({ due }) => due));
  const delay = Math.min(Math.max(0, nextDue - now), longestTimerSeconds);
  schedule.cancelTimer = clock.after(delay, () => tick(schedule));
}

function startWaiting(schedule: Schedule): void {
  const { options, waiting, active } = schedule;
  while (!schedule.stopped && active.size < options.concurrency) {
    const entry = waiting.shift();
    if (entry === undefined) return;
    const abort = new AbortController();
    entry.running = abort;
    const work: Promise<void> = runOnce(schedule, entry, abort.signal)
      .catch((error: unknown) => options.log.error("check run broke off", { check: entry.definition.name, error }))
      .finally(() => {
        active.delete(work);
        startWaiting(schedule);
      });
    active.add(work);
  }
}

async function runOnce(schedule: Schedule, entry: Entry, signal: AbortSignal): Promise<void> {
  const startedAt = schedule.clock.now();
  const run = await schedule.options.run(entry.definition, signal).finally(() => {
    entry.running = undefined;
  });
  // A definition that was replaced while it ran has nothing to say any more.
  const isCurrent = !schedule.stopped && schedule.entries.get(entry.definition.name) === entry;
  if (isCurrent && run.retrySeconds !== undefined) {
    entry.due = schedule.clock.monotonicSeconds() + run.retrySeconds;
    return tick(schedule);
  }
  if (isCurrent) record(schedule, entry, { run, startedAt });
}

function record(schedule: Schedule, entry: Entry, { run, startedAt }: { run: CheckRun; startedAt: Date }): void {
  const { options, clock } = schedule;
  const judged = toResult(entry.definition, run, { startedAt, maxSeries: options.maxSeries });
  const published = entry.seriesMemory.judge(judged, clock.monotonicSeconds());
  const before = entry.result;
  const isSame = before !== undefined && isSameState(before, published);
  const result = { ...published, since: (isSame ? before.since : undefined) ?? published.startedAt };
  entry.result = result;
  entry.resultAt = clock.monotonicSeconds();
  entry.runs.set(result.outcome, (entry.runs.get(result.outcome) ?? 0) + 1);
  schedule.changes++;
  if (!isSame && (before !== undefined || result.error !== undefined)) logChange(options.log, result);
  try {
    options.onResult?.(result);
  } catch (error) {
    options.log.warn("cannot store the result of a check", { check: result.check, error });
  }
}

function stateOf(entry: Entry, clock: Clock): CheckState {
  const { definition, result, runs, skippedRuns } = entry;
  const now = clock.monotonicSeconds();
  return {
    definition,
    result,
    ageSeconds: result === undefined ? undefined : now - entry.resultAt,
    stale: now > staleAt(entry),
    running: entry.running !== undefined,
    nextRunSeconds: Math.max(0, entry.due - now),
    periodSeconds: periodOf(entry),
    runs,
    skippedRuns,
  };
}

/** When its result is too old to be the state of the node; never without one. */
function staleAt(entry: Entry): number {
  if (entry.result === undefined) return Number.POSITIVE_INFINITY;
  const staleAfter = Math.max(shortestStaleAfterSeconds, 3 * periodOf(entry) + entry.definition.timeoutSeconds);
  return entry.resultAt + staleAfter;
}

function periodOf({ timing }: Entry): number {
  return timing?.periodSeconds ?? 0;
}

function isSameState(a: CheckResult, b: CheckResult): boolean {
  return a.error === b.error && statusOf(a) === statusOf(b) && (a.outcome === "absent") === (b.outcome === "absent");
}

/** Only changes are worth a line: a check that fails every minute is on the page, not in the log. */
function logChange(log: Logger, result: CheckResult): void {
  const { check, error, outcome, message, exitCode, durationSeconds } = result;
  const status = statusOf(result);
  const facts = { check, outcome, exit_code: exitCode, message, duration_seconds: durationSeconds };
  if (outcome === "absent") log.debug("check has nothing to judge", facts);
  else if (error === undefined) log.info("check recovered", facts);
  else if (status === "unknown") log.warn("check gave no verdict", { ...facts, reason: error });
  else log.warn("check found something", { ...facts, status });
}
