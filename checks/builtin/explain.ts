import { builtinChecks } from "./registry.ts";

/** What someone on call has to know about a builtin check, in paragraphs; undefined for any other check. */
export function explanationOf(name: string): readonly string[] | undefined {
  return builtinChecks.find((check) => check.name === name)?.explanation;
}
