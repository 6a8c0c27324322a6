import type { TSchema } from "@sinclair/typebox";
import { Value, type ValueError, ValueErrorType } from "@sinclair/typebox/value";

/**
 * A copy of `given` with the schema's defaults, and what is wrong with it. Lists and mappings are judged before as well:
 * into a mapping where a list belongs TypeBox fills the default list, and what was given would be gone without a word.
 */
export function fillDefaults(schema: TSchema, given: unknown): { value: unknown; faults: ValueError[] } {
  const misplaced = [...Value.Errors(schema, given)].filter(
    ({ type, value }) => value !== undefined && (type === ValueErrorType.Array || type === ValueErrorType.Object),
  );
  const value = Value.Default(schema, Value.Clone(given));
  return { value, faults: [...misplaced, ...Value.Errors(schema, value)] };
}
