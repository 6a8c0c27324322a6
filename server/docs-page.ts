import type { ApiDocument, Operation } from "./openapi.ts";
import { accessOf } from "./roles.ts";

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
td{padding:.2rem .8rem .2rem 0;vertical-align:top}code{font:13px ui-monospace,monospace}
details{margin:.2rem 0}summary{cursor:pointer}ul{margin:.2rem 0;padding-left:1.2rem}`;

/** `/docs` for people: plain HTML without a script, because a site without internet access has nothing to load one from. */
export function renderDocs({ info, paths, components }: ApiDocument): string {
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      tag: operation.tags?.[0] ?? "other",
      html: toRow(method.toUpperCase(), path, operation),
    })),
  );
  const sections = [...new Set(rows.map(({ tag }) => tag))].map((tag) => {
    const own = rows.filter((row) => row.tag === tag).map(({ html }) => html);
    return `<h2>${escape(tag)}</h2><table>${own.join("")}</table>`;
  });
  const schemas = Object.entries(components["schemas"] ?? {}).map(
    ([name, schema]) => `<h3 id="${escape(name)}">${escape(name)}</h3>${toFields(schema)}`,
  );
  const title = escape(`${info.title} ${info.version}`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style>
<h1>${title}</h1><p>For programs: <a href="docs/json">OpenAPI</a>. The second column says which role may call it, at least;
its token goes into the header <code>Authorization: Bearer …</code> Every refusal is an <a href="#Error">Error</a>.
Fields in bold are needed.</p>${sections.join("")}<h2>Answers</h2>${schemas.join("")}</html>
`;
}

function toRow(method: string, path: string, operation: Operation): string {
  const { summary = "", parameters = [], requestBody, responses } = operation;
  const query = parameters.filter((parameter) => parameter.in === "query");
  const answers = Object.entries(responses).flatMap(([status, { content = {}, $ref }]) => {
    if ($ref !== undefined) return [];
    const [type, answer] = Object.entries(content)[0] ?? ["no body"];
    return `${status} ${type === "application/json" ? typeOf(answer?.schema) : escape(type)}`;
  });
  const body = requestBody?.content["application/json"]?.schema;
  const description = [
    escape(summary),
    query.length === 0 ? "" : `<details><summary>query</summary>${toList(query.map(toParameter))}</details>`,
    body === undefined ? "" : `<details><summary>body</summary>${toFields(body)}</details>`,
  ];
  const cells = [
    `<code>${method} ${escape(path)}</code>`,
    escape(accessOf(method, path) ?? ""),
    description.join(""),
    answers.join("<br>"),
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

const toParameter = ({ name, required, schema }: NonNullable<Operation["parameters"]>[number]): string =>
  toField(name, schema, required);

/** The part of JSON schema that the routes use. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}

function toFields(schema: Schema): string {
  const { properties, required = [] } = schema;
  if (properties === undefined) return `<p>${typeOf(schema)}</p>`;
  return toList(Object.entries(properties).map(([name, field]) => toField(name, field, required.includes(name))));
}

function toField(name: string, schema: Schema, required: boolean): string {
  const label = `<code>${required ? `<b>${escape(name)}</b>` : escape(name)}</code>`;
  const inner = schema.properties ?? schema.items?.properties;
  const nested = inner === undefined ? "" : toFields(schema.properties === undefined ? (schema.items ?? {}) : schema);
  const { description } = schema;
  return `${label} ${typeOf(schema)}${description === undefined ? "" : `: ${escape(description)}`}${nested}`;
}

function typeOf(schema: Schema = {}): string {
  const { $ref, type, anyOf, items, properties } = schema;
  const name = $ref?.split("/").at(-1);
  if (name !== undefined) return `<a href="#${escape(name)}">${escape(name)}</a>`;
  if (schema.const !== undefined) return escape(JSON.stringify(schema.const));
  const values = schema.enum ?? anyOf?.map((option) => option.const);
  if (values?.every((value) => value !== undefined)) return values.map((v) => escape(JSON.stringify(v))).join(" | ");
  if (anyOf !== undefined) return anyOf.map(typeOf).join(" | ");
  if (items !== undefined) return `list of ${typeOf(items)}`;
  if (properties !== undefined) return escape(`{ ${Object.keys(properties).join(", ")} }`);
  return escape(typeof type === "string" ? type : (type?.join(" | ") ?? "anything"));
}

const toList = (items: readonly string[]): string => `<ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul>`;
const escape = (text: string): string => Bun.escapeHTML(text);
