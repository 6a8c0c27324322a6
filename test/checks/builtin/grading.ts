import type { BuiltinCheck, Grading } from "../../../checks/builtin/builtin.ts";
import { systemClock } from "../../../checks/clock.ts";
import { createBuiltinRunner } from "../../../checks/builtin/run.ts";
import type { CheckDefinition, CheckRun } from "../../../checks/check.ts";
import type { CollectorReading, Readings } from "../../../checks/readings.ts";
import { toVerdict, type Verdict } from "../../../checks/verdict.ts";
import type { Labels, Sample } from "../../../collectors/collector.ts";

/** Families as a test writes them: a number, or series with labels. */
export type Families = Readonly<Record<string, number | readonly (readonly [Labels, number])[]>>;

export function toSamples(families: Families): (family: string) => readonly Sample[] {
  return (family) => {
    const given = families[family] ?? [];
    return typeof given === "number"
      ? [{ labels: {}, value: given }]
      : given.map(([labels, value]) => ({ labels, value }));
  };
}

export interface GradeOptions {
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly memory?: unknown;
  readonly nowSeconds?: number;
  readonly bootId?: string;
  readonly acknowledgedSeconds?: number;
  readonly companionPresent?: boolean;
  readonly companion?: Families;
}

export const noon = Date.parse("2026-11-20T12:00:00Z") / 1000;

export function grade(check: BuiltinCheck, families: Families, options: GradeOptions = {}): Grading {
  const parsed = check.parse(options.parameters ?? {});
  if ("problem" in parsed) throw new Error(parsed.problem);
  const { memory, nowSeconds = noon, bootId = "boot-1", companionPresent = true, acknowledgedSeconds = 0 } = options;
  const companion = toSamples(options.companion ?? {});
  const samples = toSamples(families);
  return check.grade({
    parameters: parsed.parameters,
    samples,
    memory,
    nowSeconds,
    bootId,
    acknowledgedSeconds: () => acknowledgedSeconds,
    companionPresent,
    companion,
  });
}

export function verdictOf(check: BuiltinCheck, families: Families, options: GradeOptions = {}): Verdict {
  const { findings, summary } = grade(check, families, options);
  return toVerdict(findings, summary);
}

/** One run as the node makes it, with a source that answers this. */
export function runWith(
  check: BuiltinCheck,
  reading: CollectorReading,
  config = {},
  companion: CollectorReading = reading,
): Promise<CheckRun> {
  const readings: Readings = { read: async (name) => (name === check.companion ? companion : reading) };
  const runner = createBuiltinRunner({
    readings,
    bootId: "boot-1",
    restored: [],
    clock: { ...systemClock, now: () => new Date(noon * 1000) },
    checks: [check],
  });
  return runner.run(defineBuiltinCheck(check.name, config), new AbortController().signal);
}

export function defineBuiltinCheck(name: string, config: Readonly<Record<string, unknown>> = {}): CheckDefinition {
  return {
    name,
    language: "builtin",
    script: new Uint8Array(),
    scriptSha256: "",
    config,
    schedule: { intervalSeconds: 60 },
    timeoutSeconds: 30,
    permissions: {},
    source: "builtin",
  };
}
