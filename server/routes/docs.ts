import { type AnyElysia, Elysia } from "elysia";
import { renderDocs } from "../docs-page.ts";
import type { ApiDocument } from "../openapi.ts";

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
};

export function docsRoutes(describe: () => ApiDocument): AnyElysia {
  let known: ApiDocument | undefined;
  const read = () => (known ??= describe());
  return new Elysia()
    .get("/", () => new Response(null, { status: 302, headers: { location: "/docs" } }))
    .get("/docs", () => new Response(renderDocs(read()), { headers }))
    .get("/docs/json", () => read());
}
