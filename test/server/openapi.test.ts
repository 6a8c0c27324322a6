import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ApiDocument, Operation } from "../../server/openapi.ts";
import { accessOf } from "../../server/roles.ts";
import { startTestServer, type TestServer } from "./harness.ts";

let server: TestServer;
let document: ApiDocument;
let operations: { readonly name: string; readonly method: string; readonly path: string; readonly it: Operation }[];

beforeAll(async () => {
  server = await startTestServer();
  document = (await server.call<ApiDocument>("GET", "/docs/json", { token: "" })).body;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, it]) => ({ name: `${method} ${path}`, method, path, it })),
  );
});
afterAll(() => server[Symbol.asyncDispose]());

const namesOf = (wanted: (operation: (typeof operations)[number]) => boolean) =>
  operations.filter(wanted).map(({ name }) => name);

test("every change says what its body is, and that it is JSON", () => {
  const withoutBody = namesOf(({ method, it }) => /post|put/.test(method) && it.requestBody === undefined);
  expect(withoutBody.map((name) => name.split("/").at(-1))).toEqual(["rotate", "revoke", "rotate", "revoke", "resync"]);
  for (const { name, it } of operations) {
    if (it.requestBody === undefined) continue;
    expect([name, Object.keys(it.requestBody.content)]).toEqual([name, ["application/json"]]);
    expect(it.requestBody.content["application/json"]?.schema).toMatchObject({ type: "object" });
  }
  const body = document.paths["/api/v1/groups"]?.["post"]?.requestBody?.content["application/json"]?.schema;
  expect(body).toMatchObject({ required: ["name"], properties: { namespace: {}, parent_id: {}, priority: {} } });
});

test("every route says what it does, what it answers, how it refuses and who may call it", () => {
  expect(operations.length).toBeGreaterThan(80);
  expect(namesOf(({ it }) => (it.summary ?? "") === "")).toEqual([]);
  expect(namesOf(({ it }) => it.tags?.length !== 1)).toEqual([]);
  expect(namesOf(({ it }) => !Object.keys(it.responses).some((status) => /^[23]\d\d$/.test(status)))).toEqual([]);
  expect(namesOf(({ it }) => it.responses["default"]?.$ref !== "#/components/responses/Refusal")).toEqual([]);
  expect(document.components["responses"]?.["Refusal"]).toMatchObject({
    content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
  });
  expect(document.components["schemas"]?.["Error"]).toMatchObject({
    properties: { error: { required: ["code", "message"] } },
  });
  const open = namesOf(({ it }) => it.security.length === 0);
  expect(open).toEqual(namesOf(({ method, path }) => accessOf(method.toUpperCase(), path) === "public"));
  expect(document.paths["/api/v1/groups"]?.["post"]?.security).toEqual([{ adminToken: ["operator"] }]);
  expect(document.paths["/api/v1/blobs/{hash}"]?.["get"]?.security).toEqual([
    { nodeKey: [] },
    { adminToken: ["viewer"] },
  ]);
  expect(Object.keys(document.components["securitySchemes"] ?? {})).toEqual(["adminToken", "nodeKey"]);
});

test("the address of the server alone leads to the page", async () => {
  const response = await fetch(server.url);
  expect([response.status, new URL(response.url).pathname]).toEqual([200, "/docs"]);
  const page = await response.text();
  expect(page).toContain("default_group_id");
  expect(page).toContain("primary_group_id");
});
