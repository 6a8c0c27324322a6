import { type AnyElysia, Elysia } from "elysia";
import type { ApiDocument, Operation } from "../openapi.ts";
import { accessOf } from "../roles.ts";

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
};

/** `/docs` for people: plain HTML without a script, because a site without internet access has nothing to load one from. */
export function docsRoutes(describe: () => ApiDocument): AnyElysia {
  let known: ApiDocument | undefined;
  const read = () => (known ??= describe());
  return new Elysia()
    .get("/", () => new Response(null, { status: 302, headers: { location: "/docs" } }))
    .get("/docs", () => new Response(toPage(read()), { headers }))
    .get("/docs/json", () => read());
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
td{padding:.2rem .8rem .2rem 0;vertical-align:top}code,pre{font:13px ui-monospace,monospace}pre{overflow-x:auto}`;

function toPage({ info, paths, components }: ApiDocument): string {
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
  const title = escape(`${info.title} ${info.version}`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style>
<h1>${title}</h1><p>For programs: <a href="docs/json">OpenAPI</a>. The second column says which role may call it, at least;
the token goes into the header <code>Authorization: Bearer …</code></p>
<p>Every refusal has a body of this form: ${toDetails("error", components["schemas"]?.["Error"])}</p>${sections.join("")}</html>
`;
}

function toRow(method: string, path: string, operation: Operation): string {
  const { summary = "", parameters = [], requestBody, responses } = operation;
  const query = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
  const answers = Object.entries(responses).flatMap(([status, { content = {}, $ref }]) => {
    if ($ref !== undefined) return [];
    const [type, answer] = Object.entries(content)[0] ?? [];
    if (type === undefined) return `<p>${status}, no body</p>`;
    return type === "application/json" ? toDetails(status, answer?.schema) : `<p>${status}, ${escape(type)}</p>`;
  });
  const cells = [
    `<code>${method} ${escape(path)}</code>`,
    escape(accessOf(method, path) ?? ""),
    [
      escape(summary),
      query.length === 0 ? "" : `<p>Query: <code>${escape(query.join(", "))}</code></p>`,
      toDetails("body", requestBody?.content["application/json"]?.schema),
      ...answers,
    ].join(""),
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function toDetails(name: string, schema: unknown): string {
  if (schema === undefined) return "";
  return `<details><summary>${escape(name)}</summary><pre>${escape(JSON.stringify(schema, null, 2))}</pre></details>`;
}

const escape = (text: string): string => Bun.escapeHTML(text);
