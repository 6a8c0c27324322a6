import type { MetricFamily } from "../collectors/collector.ts";
import { type CheckDefinition, type CheckResult, type CheckRun, definitionKey } from "./check.ts";
import { countSeries, parseOutput, printable } from "./output.ts";
import { OutputError } from "./text-format.ts";

const keptStderrBytes = 2048;
/** ok, warning, critical, unknown: the vocabulary of monitoring plug-ins. With any other code the script broke off. */
const highestVerdictExitCode = 3;

/** Turns what the runner observed into what may be published. Pure: the clock is an argument. */
export function toResult(
  definition: CheckDefinition,
  run: CheckRun,
  { startedAt, maxSeries }: { startedAt: Date; maxSeries: number },
): CheckResult {
  const facts = {
    check: definition.name,
    definition: definitionKey(definition),
    startedAt: startedAt.toISOString(),
    durationSeconds: run.durationSeconds,
    outcome: run.outcome,
    ...(run.exitCode === undefined ? {} : { exitCode: run.exitCode }),
    ...textField("stderr", decodeStderr(run.stderr)),
    ...(run.verdict && { verdict: run.verdict }),
    ...(run.memory !== undefined && { memory: run.memory }),
  };
  if (run.outcome === "absent") return { ...facts, ...textField("message", run.message), families: [] };
  if (run.verdict !== undefined) {
    const error = run.outcome === "ok" ? {} : { error: run.outcome };
    return { ...facts, ...error, ...textField("message", run.message), families: [] };
  }
  if (!hasVerdict(run)) {
    return { ...facts, error: run.outcome, ...textField("message", run.message || exitMessage(run)), families: [] };
  }
  try {
    const families = parseOutput(run.stdout, { check: definition.name, maxSeries });
    const message = run.message || exitMessage(run) || emptyMessage(families);
    const error = run.outcome === "ok" ? {} : { error: run.outcome };
    return { ...facts, ...error, ...textField("message", message), families };
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    return { ...facts, error: error.reason, message: error.message, families: [] };
  }
}

function hasVerdict({ outcome, exitCode = 0 }: CheckRun): boolean {
  return outcome === "ok" || (outcome === "exit" && exitCode <= highestVerdictExitCode);
}

function exitMessage({ outcome, exitCode }: CheckRun): string {
  return outcome === "exit" ? `the script ended with ${exitCode}` : "";
}

function emptyMessage(families: readonly MetricFamily[]): string {
  return countSeries(families) === 0 ? "the script printed no series" : "";
}

function textField<Key extends string>(key: Key, value: string): Partial<Record<Key, string>> {
  const field: Partial<Record<Key, string>> = {};
  if (value !== "") field[key] = value;
  return field;
}

function decodeStderr(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes.subarray(0, keptStderrBytes))).trim();
}
