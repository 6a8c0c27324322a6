import { FormatRegistry, Kind, type TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { ApiDocument } from "../../server/openapi.ts";

FormatRegistry.Set("date-time", (text) => !Number.isNaN(Date.parse(text)));

export interface Exchange {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}

/** Throws when the server answered something else than its own OpenAPI document says. */
export function assertDescribed(document: ApiDocument, { method, path, status, body }: Exchange): void {
  const pathname = path.replace(/[?#].*$/, "").replace(/(.)\/+$/, "$1");
  const templates = Object.keys(document.paths).filter((template) => matches(template, pathname));
  // The router prefers what is written out to what is a parameter.
  const [template] = templates.toSorted((a, b) => a.split("{").length - b.split("{").length);
  const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()];
  if (operation === undefined) return;
  const schemas = document.components["schemas"] ?? {};
  const error = { content: { "application/json": { schema: schemas["Error"] } } };
  const answer = operation.responses[status] ?? (status >= 400 ? error : undefined);
  const name = `${method} ${template} ${status}`;
  if (answer === undefined) throw new Error(`${name} is not in the OpenAPI document`);
  const schema = answer.content?.["application/json"]?.schema;
  if (schema === undefined) return;
  const fault = Value.Errors(withKinds({ ...schema }, schemas), body).First();
  if (fault === undefined) return;
  throw new Error(`${name}: ${fault.path} ${fault.message}, found ${JSON.stringify(fault.value)}`);
}

const matches = (template: string, path: string): boolean =>
  new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`).test(path);

type Json = Readonly<Record<string, unknown>>;
type Schemas = Readonly<Record<string, object>>;

/** A schema that came over the wire, as TypeBox checks it; references are followed. */
function withKinds(schema: Json, schemas: Schemas): TSchema {
  const { $ref } = schema;
  if (typeof $ref === "string") return withKinds({ ...schemas[$ref.split("/").at(-1) ?? ""] }, schemas);
  const members = Object.entries(schema).map(([key, value]) => {
    if (key === "properties" || key === "patternProperties") return [key, mapValues(value as Json, schemas)];
    if (key === "anyOf" || key === "allOf") return [key, (value as Json[]).map((item) => withKinds(item, schemas))];
    return [key, key === "items" ? withKinds(value as Json, schemas) : value];
  });
  return { ...Object.fromEntries(members), [Kind]: kindOf(schema) } as unknown as TSchema;
}

const mapValues = (values: Json, schemas: Schemas): Json =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, withKinds(value as Json, schemas)]));

function kindOf(schema: Json): string {
  if ("anyOf" in schema) return "Union";
  if ("allOf" in schema) return "Intersect";
  if ("const" in schema) return "Literal";
  if ("patternProperties" in schema) return "Record";
  const { type } = schema;
  return typeof type === "string" ? type.charAt(0).toUpperCase() + type.slice(1) : "Unknown";
}
