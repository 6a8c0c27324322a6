import type { Static, TObject } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { fillDefaults } from "../../runtime/defaults.ts";
import { expectationOf } from "../../runtime/expectation.ts";
import type { Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";

/** All that a grading may depend on. */
export interface GradeInput<Parameters> {
  readonly parameters: Parameters;
  /** Series of a family of the source, as they are on the page. */
  samples(family: string): readonly Sample[];
  /** What this check handed back last time, over restarts and reboots too; undefined the first time. */
  readonly memory: unknown;
  readonly nowSeconds: number;
  /** What happened to this subject up to then is dealt with: seconds since 1970, 0 when nothing is. */
  acknowledgedSeconds(subject: string): number;
  /** New at each boot of the kernel; undefined where it cannot be read. */
  readonly bootId: string | undefined;
  /** Whether the companion collector has its hardware here; false without a companion. */
  readonly companionPresent: boolean;
  /** Series of the companion; none where it gave no reading. */
  companion(family: string): readonly Sample[];
}

export interface Grading {
  readonly findings: readonly Finding[];
  /** What to say when nothing is wrong. */
  readonly summary: string;
  /** Plain JSON. */
  readonly memory?: unknown;
  /** Set when this node has nothing that the check could judge: the reason. */
  readonly absent?: string;
}

/** A check that judges what one collector sees. Pure: same input, same grading. */
export interface BuiltinDefinition<Schema extends TObject> {
  /** The name of the policy and the key in daemon.yaml. */
  readonly name: string;
  readonly description: string;
  /** What someone on call has to know: what it means, what to do. Paragraphs. */
  readonly explanation: readonly string[];
  /** Name of the collector. */
  readonly source: string;
  /** A second collector that may add to what the source says; without a reading of it the check goes on. */
  readonly companion?: string;
  readonly intervalSeconds: number;
  readonly parameters: Schema;
  grade(input: GradeInput<Static<Schema>>): Grading;
  /** For a check whose parameters say that the source has to be there: what is wrong when it is not. */
  readonly gradeAbsent?: (input: AbsentInput<Static<Schema>>) => Grading | undefined;
}

/** What is known where the source is not there. */
export interface AbsentInput<Parameters> extends Pick<GradeInput<Parameters>, "parameters" | "companion"> {
  readonly reason: string;
}

/** A builtin check of any parameters. */
export interface BuiltinCheck extends Omit<BuiltinDefinition<TObject>, "grade" | "gradeAbsent"> {
  /** Parameters with the defaults filled in, or what is wrong with them. */
  parse(config: unknown): { readonly parameters: unknown } | { readonly problem: string };
  /** `parameters` are what `parse` gave. */
  grade(input: GradeInput<unknown>): Grading;
  gradeAbsent(input: AbsentInput<unknown>): Grading | undefined;
}

export function defineBuiltin<Schema extends TObject>(definition: BuiltinDefinition<Schema>): BuiltinCheck {
  const { parameters: schema, grade, gradeAbsent } = definition;
  const typed = (value: unknown): Static<Schema> => Value.Decode(schema, value);
  return {
    ...definition,
    parse: (config) => {
      const { value, faults } = fillDefaults(schema, config);
      const [fault] = faults;
      if (fault === undefined) return { parameters: value };
      return { problem: `parameter ${fault.path.slice(1).replaceAll("/", ".")}: ${expectationOf(fault)}` };
    },
    grade: (input) => grade({ ...input, parameters: typed(input.parameters) }),
    gradeAbsent: (input) => gradeAbsent?.({ ...input, parameters: typed(input.parameters) }),
  };
}

/** For a finding that tells of something that happened: it can be acknowledged. */
export function happened(seconds: number): { readonly at: string } {
  return { at: new Date(seconds * 1000).toISOString() };
}

/**
 * "2026-11-20 12:00:00 UTC". For when something happened: a summary is read, stored and sent long after it was made, so
 * it must not say how long ago that was.
 */
export function timeOf(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** "1 port", "2 ports" */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** "3 d 4 h", "5 min", "20 s": the two largest units, for summaries. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${Math.floor(hours / 24)} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function percent(ratio: number): string {
  return `${Number((ratio * 100).toFixed(1))} %`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toFixed(1))} ${units[power]}`;
}
