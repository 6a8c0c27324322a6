import { type AnyElysia, Elysia } from "elysia";
import { accessOf } from "../roles.ts";

/** The part of an OpenAPI document that the page shows. */
export interface ApiDocument {
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> };
}

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
};

/** `/docs` for people: plain HTML without a script, because a site without internet access has nothing to load one from. */
export function docsRoutes(read: () => Promise<ApiDocument>): AnyElysia {
  return new Elysia().get("/docs", async () => new Response(toPage(await read()), { headers }), {
    detail: { hide: true },
  });
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
td{padding:.2rem .8rem .2rem 0;vertical-align:top}code,pre{font:13px ui-monospace,monospace}pre{overflow-x:auto}`;

function toPage({ info, paths }: ApiDocument): string {
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
<h1>${title}</h1><p>For programs: <a href="docs/json">OpenAPI</a>. The second column says who may call it.</p>${sections.join("")}</html>
`;
}

function toRow(method: string, path: string, { summary = "", parameters = [], requestBody }: Operation): string {
  const query = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
  const schema = requestBody?.content?.["application/json"]?.schema;
  const cells = [
    `<code>${method} ${escape(path)}</code>`,
    escape(accessOf(method, path) ?? ""),
    escape(summary),
    query.length === 0 ? "" : `<p>Query: <code>${escape(query.join(", "))}</code></p>`,
    schema === undefined
      ? ""
      : `<details><summary>body</summary><pre>${escape(JSON.stringify(schema, null, 2))}</pre></details>`,
  ];
  return `<tr><td>${cells[0]}</td><td>${cells[1]}</td><td>${cells.slice(2).join("")}</td></tr>`;
}

const escape = (text: string): string => Bun.escapeHTML(text);
