import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type RunningServer, startServer } from "../harness/server.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

let workspace: Workspace;
let server: RunningServer;
beforeAll(async () => {
  workspace = createWorkspace();
  server = await startServer({ workspace });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  workspace[Symbol.dispose]();
});

const json = (value: unknown): string => JSON.stringify(value);
const registration = { hostname: "node-1", ip_address: "127.0.0.1" };
const group = { name: "a", namespace: "environment" };
const secret = "A".repeat(43);
/** Sent to register without an admin token. */
const register = (token: string) => ({
  path: "/api/v1/bootstrap/register",
  bearer: "",
  body: json({ ...registration, token }),
});

interface BadRequest {
  readonly path?: string;
  readonly body?: string;
  readonly type?: string;
  readonly bearer?: string;
}

const requests: readonly (readonly [what: string, answer: string, request: BadRequest])[] = [
  ["no token", "401 UNAUTHORIZED", { bearer: "" }],
  ["an unknown admin token", "401 UNAUTHORIZED", { bearer: `aami_admin_${secret}` }],
  ["a bearer that is no token", "401 UNAUTHORIZED", { bearer: "nonsense" }],
  ["malformed JSON", "400 MALFORMED_JSON", { body: '{"name": ' }],
  ["a duplicate key", "400 MALFORMED_JSON", { body: '{"name":"a","name":"b"}' }],
  ["an unknown field", "400 VALIDATION_ERROR", { body: json({ ...group, colour: "red" }) }],
  ["a missing field", "400 VALIDATION_ERROR", { body: json({ namespace: "environment" }) }],
  ["an unknown namespace", "400 VALIDATION_ERROR", { body: json({ ...group, namespace: "nowhere" }) }],
  ["an oversize body", "413 BODY_TOO_LARGE", { body: json({ ...group, description: "x".repeat(2 ** 21) }) }],
  ["another content type", "415 UNSUPPORTED_MEDIA_TYPE", { type: "application/x-www-form-urlencoded" }],
  ["a bootstrap token that is cut off", "400 VALIDATION_ERROR", register("aami_bootstrap_nonsense")],
  ["a wrong bootstrap token", "401 TOKEN_INVALID", register(`aami_bootstrap_${"a".repeat(10)}_${secret}_${secret}`)],
  ["an address that is not there", "404 NOT_FOUND", { path: "/api/v1/nonsense" }],
];

const snapshot = async (): Promise<string> =>
  json(await Promise.all(["groups", "targets", "bootstrap-tokens"].map((name) => server.api.get(`/api/v1/${name}`))));

test.each(requests)("%s is refused with %s and leaves nothing behind", async (_what, expected, request) => {
  const { path = "/api/v1/groups", body = json(group), type = "application/json" } = request;
  const { bearer = readFileSync(server.adminTokenFile, "utf8").trim() } = request;
  const before = await snapshot();
  const response = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": type, ...(bearer === "" ? {} : { authorization: `Bearer ${bearer}` }) },
    body,
  });
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  expect(`${response.status} ${error.code}`).toBe(expected);
  expect(error.message).not.toBe("");
  expect(await snapshot()).toBe(before);
});

// The program as it is shipped: what refuses these once depended on a class name that minifying had changed.
test.each(["page=0", "page=1e30", "limit=0", "limit=1001", "limit=1.5", "deleted=maybe"])(
  "a list with %s is refused",
  async (query) => {
    const headers = { authorization: `Bearer ${readFileSync(server.adminTokenFile, "utf8").trim()}` };
    const response = await fetch(`${server.url}/api/v1/targets?${query}`, { headers });
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code: "VALIDATION_ERROR" } }]);
  },
);

test("an expired bootstrap token is refused and says so", async () => {
  const soon = new Date(Date.now() + 3000).toISOString();
  const { token } = await server.api.post<{ token: string }>("/api/v1/bootstrap-tokens", {
    name: "short",
    expires_at: soon,
  });
  await Bun.sleep(Math.max(0, Date.parse(soon) - Date.now() + 1));
  const response = await fetch(`${server.url}/api/v1/bootstrap/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: json({ ...registration, hostname: "late", token }),
  });
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { code: "TOKEN_EXPIRED" } });
});

test("an unknown group is refused and takes no use of the token", async () => {
  const { id, token } = await server.api.post<{ id: string; token: string }>("/api/v1/bootstrap-tokens", {
    name: "one use",
  });
  const response = await fetch(`${server.url}/api/v1/bootstrap/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: json({ ...registration, token, group_id: "01900000-0000-7000-8000-000000000000" }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
  expect(await server.api.get(`/api/v1/bootstrap-tokens/${id}`)).toMatchObject({ uses: 0 });
});
