import { type TObject, type TSchema, TypeGuard } from "@sinclair/typebox";

export type FlagKind = "boolean" | "string" | "integer" | "number" | "duration";

/** One command-line flag, as the configuration schema describes it. */
export interface Flag {
  /** Without the dashes: "web.listen-address". */
  readonly name: string;
  readonly kind: FlagKind;
  /** May be given several times; its value is a list. */
  readonly repeatable: boolean;
  /** Where its value goes in the configuration: ["web", "listen_addresses"]. Empty for one that is accepted only. */
  readonly path: readonly string[];
  readonly description: string;
  readonly defaultText: string | undefined;
  readonly hidden: boolean;
  /** Warned about when used; the text says what to use instead. */
  readonly deprecated: string | undefined;
  /** Checks the value: one element of it for a repeatable flag. */
  readonly schema: TSchema;
}

/** Every property with a `flag` keyword, in the order of the schema. */
export function flagsOf(schema: TObject, path: readonly string[] = []): Flag[] {
  return Object.entries(schema.properties).flatMap(([key, property]) => {
    const own =
      typeof property["flag"] === "string" ? [toFlag(property["flag"], property, [...path, key], schema)] : [];
    return TypeGuard.IsObject(property) ? [...own, ...flagsOf(property, [...path, key])] : own;
  });
}

function toFlag(name: string, property: TSchema, path: readonly string[], section: TObject): Flag {
  const repeatable = TypeGuard.IsArray(property);
  const schema = repeatable ? property.items : property;
  return {
    name,
    kind: kindOf(schema, property),
    repeatable,
    path,
    description: property.description ?? "",
    defaultText: defaultText(property),
    hidden: property["hidden"] === true,
    deprecated: property["deprecated"] === true ? `deprecated, use --${successor(property, section)}` : undefined,
    schema,
  };
}

function successor(property: TSchema, section: TObject): string {
  return String(section.properties[String(property["replacedBy"])]?.["flag"]);
}

function kindOf(schema: TSchema, property: TSchema): FlagKind {
  if (TypeGuard.IsBoolean(schema)) return "boolean";
  if (property["duration"] === true) return "duration";
  if (TypeGuard.IsInteger(schema)) return "integer";
  return TypeGuard.IsNumber(schema) ? "number" : "string";
}

function defaultText(property: TSchema): string | undefined {
  const value: unknown = property["enabledByDefault"] ?? property.default;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(String).join(",");
  if (value === undefined || value === "" || value === false) return undefined;
  return property["duration"] === true ? `${String(value)}s` : String(value);
}
