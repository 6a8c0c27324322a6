import { closest } from "../../runtime/suggest.ts";
import { builtinChecks } from "./registry.ts";

export interface BuiltinProblem {
  readonly field: "name" | "config";
  readonly message: string;
}

/** Why every node of this version would refuse a policy for a builtin check; undefined for a good one. */
export function findBuiltinProblem(name: string, config: unknown): BuiltinProblem | undefined {
  const check = builtinChecks.find((candidate) => candidate.name === name);
  if (check !== undefined) {
    const parsed = check.parse(config);
    return "problem" in parsed ? { field: "config", message: parsed.problem } : undefined;
  }
  const names = builtinChecks.map((candidate) => candidate.name);
  const near = closest(name, names);
  const hint = near === undefined ? `known: ${names.join(", ")}` : `did you mean ${near}?`;
  return { field: "name", message: `there is no builtin check ${name}; ${hint}` };
}
