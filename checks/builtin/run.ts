import { type CheckDefinition, type CheckResult, type CheckRun, noRun } from "../check.ts";
import { describeError } from "../../runtime/log.ts";
import type { Clock } from "../clock.ts";
import type { CollectorReading, Readings } from "../readings.ts";
import { type Acknowledgements, isAcknowledged } from "../acknowledgements.ts";
import { exitCodeOf, toVerdict, type Verdict } from "../verdict.ts";
import type { BuiltinCheck, Grading } from "./builtin.ts";
import { builtinChecks } from "./registry.ts";

export interface BuiltinRunner {
  /** Never rejects; ends at once when the signal is aborted, whatever its source does. */
  run(definition: CheckDefinition, signal: AbortSignal): Promise<CheckRun>;
}

export interface BuiltinRunnerOptions {
  readonly readings: Readings;
  readonly bootId: string | undefined;
  /** Where the checks left off before the restart. */
  readonly restored: readonly CheckResult[];
  readonly clock: Pick<Clock, "now" | "monotonicSeconds">;
  readonly acknowledgements?: Pick<Acknowledgements, "untilMs"> | undefined;
  readonly checks?: readonly BuiltinCheck[];
}

/** Collectors that work in the background need a while for their first reading; until then nothing is called unknown. */
const settleSeconds = 30;
const retrySeconds = 3;

/** Runs builtin checks: asks the source, grades what it says, and keeps what each check wants to remember. */
export function createBuiltinRunner(options: BuiltinRunnerOptions): BuiltinRunner {
  const { readings, bootId, restored, clock, acknowledgements, checks = builtinChecks } = options;
  const startedAt = clock.monotonicSeconds();
  const memories = new Map(restored.map(({ check, memory }) => [check, memory]));
  const judgeOnce = async ({ name, config }: CheckDefinition): Promise<CheckRun> => {
    const check = checks.find((candidate) => candidate.name === name);
    if (check === undefined) return noRun("refused", `this daemon has no builtin check ${name}`);
    const parsed = check.parse(config);
    if ("problem" in parsed) return noRun("refused", parsed.problem);
    const began = performance.now();
    const memory = memories.get(name);
    const companion = check.companion === undefined ? undefined : await readings.read(check.companion);
    const untilMs = (subject: string): number => acknowledgements?.untilMs(name, subject) ?? 0;
    const input = {
      parameters: parsed.parameters,
      memory,
      nowSeconds: clock.now().getTime() / 1000,
      bootId,
      acknowledgedSeconds: (subject: string) => untilMs(subject) / 1000,
      companionPresent: companion !== undefined && companion.state !== "absent",
      companion: companion?.state === "ok" ? companion.samples : () => [],
    };
    const graded = await readAndGrade(check, readings, input);
    const findings = graded.findings.filter((finding) => !isAcknowledged(finding, untilMs(finding.subject)));
    const hidden = graded.findings.length - findings.length;
    const summary = hidden === 0 ? graded.summary : `${graded.summary}; ${hidden} acknowledged`;
    const grading = { ...graded, findings, summary };
    const kept = grading.memory ?? memory;
    memories.set(name, kept);
    const run = toRun(grading, Math.round(performance.now() - began) / 1000);
    const isSettling = clock.monotonicSeconds() - startedAt < settleSeconds;
    const isEarly = isSettling && run.verdict?.status === "unknown";
    return { ...run, memory: kept, ...(isEarly && { retrySeconds }) };
  };
  return { run: (definition, signal) => Promise.race([judgeOnce(definition), whenAborted(signal)]) };
}

function whenAborted(signal: AbortSignal): Promise<CheckRun> {
  return new Promise((resolve) => {
    const end = (): void => resolve(noRun("timeout", "the daemon stops"));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

async function readAndGrade(check: BuiltinCheck, readings: Readings, input: Input): Promise<Grading> {
  try {
    return judge(check, await readings.read(check.source), input);
  } catch (error) {
    return unknown(`the check broke off: ${String(describeError(error))}`);
  }
}

function unknown(summary: string): Grading {
  return { findings: [{ status: "unknown", subject: "", summary, action: "none" }], summary: "" };
}

type Input = Omit<Parameters<BuiltinCheck["grade"]>[0], "samples">;

function judge(check: BuiltinCheck, reading: CollectorReading, input: Input): Grading {
  switch (reading.state) {
    case "ok":
      return check.grade({ ...input, samples: reading.samples });
    case "absent":
      return (
        check.gradeAbsent({ ...input, reason: reading.reason }) ?? { findings: [], summary: "", absent: reading.reason }
      );
    case "failed":
      return (
        gradeWithoutHardware(check, input) ??
        unknown(`the ${check.source} collector gave no reading: ${reading.reason}`)
      );
  }
}

/** A source that many kinds of hardware share, like the kernel log, has nothing to tell of what is not there. */
function gradeWithoutHardware(check: BuiltinCheck, input: Input): Grading | undefined {
  if (check.companion === undefined || input.companionPresent) return undefined;
  const { absent } = check.grade({ ...input, samples: () => [] });
  return absent === undefined ? undefined : { findings: [], summary: "", absent };
}

function toRun(grading: Grading, durationSeconds: number): CheckRun {
  if (grading.absent !== undefined) return { ...noRun("absent", grading.absent), durationSeconds };
  const verdict: Verdict = toVerdict(grading.findings, grading.summary);
  const outcome = verdict.status === "ok" ? "ok" : "exit";
  return {
    ...noRun(outcome, verdict.summary),
    exitCode: exitCodeOf(verdict.status),
    durationSeconds,
    verdict,
  };
}
