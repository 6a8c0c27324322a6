import { ValidationError } from "../../protocol/errors.ts";

/** The `labels` query parameter: a JSON object of strings. */
export function readLabels(text: string | undefined): Readonly<Record<string, string>> | undefined {
  if (text === undefined) return undefined;
  const value = parse(text);
  const entries =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  if (entries?.every((entry): entry is [string, string] => typeof entry[1] === "string"))
    return Object.fromEntries(entries);
  throw new ValidationError("labels: a JSON object of strings is expected", { details: { field: "labels" } });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // answered like any other wrong form
  }
}
