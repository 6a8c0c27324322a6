import type { MetricFamily } from "../collectors/collector.ts";
import { describeError, type Logger } from "../runtime/log.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import { createBuiltinRunner } from "./builtin/run.ts";
import { builtinDefinitions, withOwnerSettings } from "./builtin/definitions.ts";
import { type CheckDefinition, type CheckResult, noRun } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ChecksConfig, CheckSelection } from "./config.ts";
import { readLocalChecks } from "./local.ts";
import type { Readings } from "./readings.ts";
import { createCheckRunner } from "./runner.ts";
import { openSandbox, type Sandbox, type SandboxFacts, sharesHostMounts } from "./sandbox/sandbox.ts";
import { type CheckScheduler, createCheckScheduler } from "./schedule.ts";
import { testSandbox } from "./self-test.ts";
import { createTextfile } from "./textfile.ts";

/** The checks of a node: the schedule with the sandbox it needs. */
export interface CheckService extends CheckScheduler {
  /** Reads the local directory again; `replace`, which ignores local definitions given to it, and a timer do so too. */
  readLocal(): void;
  /** Another choice of checks than at start; the local directory is read again too. */
  select(selection: CheckSelection): void;
  sandbox(): SandboxReport;
}

export interface SandboxReport {
  /** Undefined until the self-test has ended, and as long as there is no check to run. */
  readonly ok: boolean | undefined;
  /** Why no check runs on this node, each with its remedy. */
  readonly problems: readonly string[];
  readonly facts: SandboxFacts | undefined;
}

export interface CheckServiceOptions {
  readonly config: ChecksConfig;
  /** Seed of the jitter; any stable name of this node. */
  readonly nodeId: string;
  readonly stateDirectory?: string;
  /** What the builtin checks judge; without it there are none. */
  readonly readings?: Readings;
  readonly bootId?: string | undefined;
  /** What operators have dealt with. */
  readonly acknowledgements?: Acknowledgements;
  readonly onResult?: (result: CheckResult) => void;
  readonly restored?: readonly CheckResult[];
  readonly log: Logger;
  readonly clock?: Clock;
}

const localIntervalSeconds = 60;
/** What was missing may be there by now, and a machine that was too busy at boot may have come to rest. */
const retestSeconds = 300;
const untested: SandboxReport = { ok: undefined, problems: [], facts: undefined };

/**
 * The first check to run waits for the sandbox's self-test. Where that fails, and on a machine that cannot have a sandbox
 * at all, the checks fail closed: they stay on the page as `sandbox_error`, never run without one, and aami_sandbox_ok
 * says so. It is tried again every five minutes.
 */
export function createChecks(options: CheckServiceOptions): CheckService {
  const { config, clock = systemClock } = options;
  const abort = new AbortController();
  let tested: TestedSandbox = { report: untested };
  // Not before there is a check: a node that is only scraped needs neither bubblewrap nor a user for it.
  let testing: Promise<TestedSandbox> | undefined;
  let retestAt = Number.POSITIVE_INFINITY;
  const open = async (): Promise<TestedSandbox> => {
    if (clock.monotonicSeconds() >= retestAt) testing = undefined;
    const started = testing === undefined;
    if (started) retestAt = Number.POSITIVE_INFINITY;
    testing ??= openTestedSandbox(options, abort.signal);
    const outcome = await testing;
    if (!started) return outcome;
    if (!abort.signal.aborted) reportSandbox(options.log, tested.report, outcome.report);
    tested = outcome;
    if (outcome.sandbox === undefined) retestAt = clock.monotonicSeconds() + retestSeconds;
    return outcome;
  };
  const textfile =
    config.textfile_directory === "" ? undefined : createTextfile(config.textfile_directory, options.log);
  const onResult = (result: CheckResult): void => {
    textfile?.write(families());
    options.onResult?.(result);
  };
  const scheduler = createScheduler({ ...options, onResult }, open);
  let known: { readonly parts: readonly unknown[]; readonly families: readonly MetricFamily[] } | undefined;
  const families = (): readonly MetricFamily[] => {
    const { report } = tested;
    const checks = scheduler.families();
    if (known?.parts[0] === report && known.parts[1] === checks) return known.families;
    known = { parts: [report, checks], families: [...sandboxFamilies(report), ...checks] };
    return known.families;
  };
  const { log } = options;
  const reader = createLocalReader(log);
  let selection: CheckSelection = config;
  let given: readonly CheckDefinition[] = [];
  let cancelTimer = () => {};
  const readLocal = (): void => {
    cancelTimer();
    if (abort.signal.aborted) return;
    const { enabled, local_directory: directory, builtin: settings } = selection;
    if (!enabled) {
      scheduler.replace([]);
      textfile?.remove();
      return;
    }
    const local = reader(directory);
    const names = new Set(local.map(({ name }) => name));
    // The owner of the node has the last word, so a local script hides a policy of the same name.
    const fleet = given.filter(({ name, source }) => source !== "local" && !names.has(name));
    const scripts = [...fleet, ...local];
    const builtin = options.readings === undefined ? [] : builtinDefinitions(settings, scripts);
    scheduler.replace([...withOwnerSettings(settings, scripts), ...builtin]);
    if (scripts.length > 0) void open();
    textfile?.write(families());
    cancelTimer = clock.after(localIntervalSeconds, readLocal);
  };
  readLocal();
  return {
    ...scheduler,
    readLocal,
    select: (next) => {
      selection = next;
      readLocal();
    },
    replace: (definitions) => {
      given = definitions;
      readLocal();
    },
    families,
    sandbox: () => tested.report,
    stop: async () => {
      cancelTimer();
      abort.abort();
      await scheduler.stop();
      await testing;
      textfile?.remove();
    },
  };
}

interface TestedSandbox {
  readonly report: SandboxReport;
  /** Only when it held its self-test. */
  readonly sandbox?: Sandbox;
}

async function openTestedSandbox(options: CheckServiceOptions, signal: AbortSignal): Promise<TestedSandbox> {
  const { config, log, stateDirectory } = options;
  const fail = (problems: readonly string[], facts?: SandboxFacts): TestedSandbox => ({
    report: { ok: false, problems, facts },
  });
  try {
    const { user, concurrency, cgroup, limits } = config;
    const state = openSandbox({ user, concurrency, cgroup, memoryBytes: limits.memory_bytes, stateDirectory });
    if ("problems" in state) return fail(state.problems);
    const { sandbox } = state;
    const failures = await testSandbox(sandbox, signal);
    if (failures.length > 0) return fail(failures, sandbox.facts);
    log.info("sandbox ready", { user, cgroup: sandbox.facts.cgroup, cgroup_limits: sandbox.facts.kernelLimits });
    if (!sharesHostMounts()) {
      log.warn("the daemon has mounts of its own: checks may call a mounted path missing", {
        remove_from_unit: "ProtectHome PrivateTmp ProtectSystem ReadWritePaths",
      });
    }
    return { report: { ok: true, problems: [], facts: sandbox.facts }, sandbox };
  } catch (error) {
    return fail([`the self-test broke off: ${String(describeError(error))}`]);
  }
}

/** Only what is new: a machine without a sandbox is tried again and again. */
function reportSandbox(log: Logger, before: SandboxReport, { ok, problems }: SandboxReport): void {
  const seconds = { retry_seconds: retestSeconds };
  if (ok === false && problems.join() !== before.problems.join())
    log.error("no sandbox, checks do not run", { problems, ...seconds });
}

function createScheduler(options: CheckServiceOptions, open: () => Promise<TestedSandbox>): CheckScheduler {
  const { config, readings, bootId, acknowledgements, restored = [], clock = systemClock } = options;
  const { concurrency, limits } = config;
  const builtin = readings && createBuiltinRunner({ readings, bootId, restored, clock, acknowledgements });
  return createCheckScheduler({
    ...options,
    concurrency,
    maxSeries: limits.series,
    run: async (definition, signal) => {
      if (definition.language === "builtin" && builtin !== undefined) return builtin.run(definition, signal);
      const { sandbox, report } = await open();
      if (sandbox === undefined) return noRun("sandbox_error", `no sandbox: ${report.problems.join("; ")}`);
      return createCheckRunner(sandbox, limits).run(definition, signal);
    },
  });
}

/** Says what was left out once, not every minute. */
function createLocalReader(log: Logger): (directory: string) => readonly CheckDefinition[] {
  let reported = "";
  return (directory) => {
    const { definitions, problems } = readLocalOrReport(directory);
    if (problems.length > 0 && problems.join() !== reported) log.warn("local checks left out", { problems });
    reported = problems.join();
    return definitions;
  };
}

function readLocalOrReport(directory: string): ReturnType<typeof readLocalChecks> {
  try {
    return readLocalChecks(directory);
  } catch (error) {
    return { definitions: [], problems: [`${directory}: ${String(describeError(error))}`] };
  }
}

function sandboxFamilies({ ok, facts }: SandboxReport): MetricFamily[] {
  if (ok === undefined) return [];
  const help = "Whether the sandbox of checks held its self-test at start; if not, no check runs.";
  const labels = { cgroup_memory: String(facts?.kernelLimits.includes("memory") ?? false) };
  return [
    { name: "aami_sandbox_ok", help, type: "gauge", samples: [{ labels: {}, value: ok ? 1 : 0 }] },
    {
      name: "aami_sandbox_info",
      help: "How runs are limited: by a cgroup of their own, or by rlimits.",
      type: "gauge",
      samples: [{ labels, value: 1 }],
    },
  ];
}
