import { type TSchema, TypeGuard } from "@sinclair/typebox";

const truth: ReadonlyMap<string, boolean> = new Map([
  ...["y", "yes", "on", "true"].map((word): [string, boolean] => [word, true]),
  ...["n", "no", "off", "false"].map((word): [string, boolean] => [word, false]),
]);

/**
 * What Go's yaml.v2 makes of a value where a type is wanted: a key without a value is as good as absent, `off` is a
 * boolean (YAML 1.1), and `X-XSS-Protection: 0` a text. Other exporters take such files, so this one does.
 */
export function bendToGo(schema: TSchema, value: unknown): unknown {
  if (TypeGuard.IsObject(schema) && typeof value === "object" && value !== null && !Array.isArray(value)) {
    const given = Object.entries(value).filter(([, content]) => content !== null);
    return Object.fromEntries(
      given.map(([key, content]) => {
        const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
        return [key, property === undefined ? content : bendToGo(property, content)];
      }),
    );
  }
  if (TypeGuard.IsBoolean(schema) && typeof value === "string") return truth.get(value.toLowerCase()) ?? value;
  const isText = TypeGuard.IsString(schema);
  return isText && (typeof value === "number" || typeof value === "boolean") ? String(value) : value;
}
