/** Reading of smartctl's JSON, whose shape depends on protocol, controller and version: every field may be missing. */

export type Json = unknown;

/** The value below `keys`, or undefined as soon as one of them is not there. */
export function field(value: Json, ...keys: readonly (string | number)[]): Json {
  let current = value;
  for (const key of keys) {
    if (typeof current !== "object" || current === null) return undefined;
    current = (current as Record<string | number, unknown>)[key];
  }
  return current;
}

export function numberAt(value: Json, ...keys: readonly (string | number)[]): number | undefined {
  const found = field(value, ...keys);
  return typeof found === "number" ? found : undefined;
}

/** Trimmed; undefined when absent, not a string, or empty. */
export function textAt(value: Json, ...keys: readonly (string | number)[]): string | undefined {
  const found = field(value, ...keys);
  return typeof found === "string" && found.trim() !== "" ? found.trim() : undefined;
}

export function listAt(value: Json, ...keys: readonly (string | number)[]): readonly Json[] {
  const found = field(value, ...keys);
  return Array.isArray(found) ? found : [];
}

export function entriesAt(value: Json, ...keys: readonly (string | number)[]): readonly [string, Json][] {
  const found = field(value, ...keys);
  return typeof found === "object" && found !== null && !Array.isArray(found) ? Object.entries(found) : [];
}
