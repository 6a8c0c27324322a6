import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSigningKey } from "../../protocol/keys.ts";
import { codeOf, startTestServer, templateBody, type TestServer } from "./harness.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const unknownId = "01a1fbba-0931-7401-b2d7-c8a0d6a8503b";
const group = { name: "g", namespace: "logical" };
const create = async <T = { id: string }>(path: string, body: unknown): Promise<T> => {
  const answer = await server.call<T>("POST", path, { body });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return answer.body;
};

describe("bodies that are refused before anything is written", () => {
  const cases: readonly (readonly [
    string,
    number,
    string,
    { raw?: string; body?: unknown; headers?: Record<string, string> },
  ])[] = [
    ["malformed JSON", 400, "MALFORMED_JSON", { raw: '{"name":' }],
    ["a duplicate key", 400, "MALFORMED_JSON", { raw: '{"name":"a","name":"b","namespace":"logical"}' }],
    ["__proto__", 400, "MALFORMED_JSON", { raw: '{"__proto__":{},"name":"a","namespace":"logical"}' }],
    [
      "an unsafe integer",
      400,
      "MALFORMED_JSON",
      { raw: '{"name":"a","namespace":"logical","priority":9007199254740993}' },
    ],
    ["no body", 400, "MALFORMED_JSON", { raw: "", headers: { "content-type": "application/json" } }],
    [
      "a form",
      415,
      "UNSUPPORTED_MEDIA_TYPE",
      { raw: "name=a", headers: { "content-type": "application/x-www-form-urlencoded" } },
    ],
    ["more than 1 MiB", 413, "BODY_TOO_LARGE", { raw: JSON.stringify({ ...group, description: "x".repeat(1 << 20) }) }],
    ["more than 4 MiB", 413, "BODY_TOO_LARGE", { raw: "x".repeat(6 << 20) }],
    ["an unknown field", 400, "VALIDATION_ERROR", { body: { ...group, priorty: 1 } }],
    ["a wrong type", 400, "VALIDATION_ERROR", { body: { ...group, priority: "1" } }],
    ["a value out of range", 400, "VALIDATION_ERROR", { body: { ...group, priority: 1001 } }],
    ["a fraction", 400, "VALIDATION_ERROR", { body: { ...group, priority: 1.5 } }],
    ["a missing field", 400, "VALIDATION_ERROR", { body: { namespace: "logical" } }],
    ["an unknown namespace", 400, "VALIDATION_ERROR", { body: { name: "a", namespace: "nowhere" } }],
    ["an unknown parent", 400, "VALIDATION_ERROR", { body: { name: "a", parent_id: unknownId } }],
    ["a name that is a path", 400, "VALIDATION_ERROR", { body: { name: "../a", namespace: "logical" } }],
    ["an array", 400, "VALIDATION_ERROR", { body: [] }],
  ];
  test.each(cases)("%s → %i %s", async (_name, status, code, options) => {
    const before = await server.call<unknown[]>("GET", "/api/v1/groups");
    const answer = await server.call("POST", "/api/v1/groups", options);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect((await server.call<unknown[]>("GET", "/api/v1/groups")).body).toEqual(before.body);
  });

  test("a chunked body that announces no length is cut at the limit", async () => {
    const chunk = new TextEncoder().encode("x".repeat(1 << 16));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (sent++ < 40 ? controller.enqueue(chunk) : controller.close()),
    });
    const headers = { authorization: `Bearer ${server.adminToken}`, "content-type": "application/json" };
    const response = await fetch(`${server.url}/api/v1/groups`, { method: "POST", body, headers });
    expect(response.status).toBe(413);
  });

  test("the message names the field, never its value", async () => {
    const answer = await server.call("POST", "/api/v1/bootstrap-tokens", {
      body: { token: 12345678901234, name: "x" },
    });
    expect(answer.body).toMatchObject({ error: { code: "VALIDATION_ERROR", details: { field: "token" } } });
    expect(JSON.stringify(answer.body)).not.toContain("12345678901234");
  });
});

describe("addresses", () => {
  test.each([
    ["GET", "/api/v1/groups/not-an-id", 400, "VALIDATION_ERROR"],
    ["GET", `/api/v1/groups/${unknownId}`, 404, "NOT_FOUND"],
    ["GET", `/api/v1/targets/${unknownId}`, 404, "NOT_FOUND"],
    ["GET", `/api/v1/script-policies/${unknownId}`, 404, "NOT_FOUND"],
    ["GET", "/api/v1/bootstrap-tokens/aaaaaaaaaa", 404, "NOT_FOUND"],
    ["DELETE", `/api/v1/targets/${unknownId}`, 404, "NOT_FOUND"],
    ["GET", "/api/v1/targets?limit=500000", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?page=0", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?page=1e30", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?limit=1.5", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?deleted=maybe", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/sd/prometheus?enabled_only=0", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?hostnme=x", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/targets?labels=nonsense", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/sd/prometheus?shard=3/3", 400, "VALIDATION_ERROR"],
    ["GET", "/api/v1/nothing", 404, "NOT_FOUND"],
    ["PUT", "/api/v1/health", 404, "NOT_FOUND"],
  ])("%s %s → %i %s", async (method, path, status, code) => {
    const answer = await server.call(method, path);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  });
});

describe("who may do what", () => {
  const tokens = new Map<string, string>();
  beforeAll(async () => {
    for (const role of ["operator", "viewer", "discovery"]) {
      tokens.set(role, (await create<{ token: string }>("/api/v1/admin-tokens", { name: role, role })).token);
    }
  });
  const rows: readonly (readonly [role: string, method: string, path: string, allowed: boolean])[] = [
    ["operator", "GET", "/api/v1/targets", true],
    ["operator", "POST", "/api/v1/groups", true],
    ["operator", "POST", "/api/v1/groups/purge", false],
    ["operator", "POST", "/api/v1/groups/purge/", false],
    ["operator", "GET", "/api/v1/admin-tokens", false],
    ["operator", "GET", "/api/v1/admin-tokens/", false],
    ["operator", "POST", "/api/v1/admin-tokens", false],
    ["operator", "GET", "/api/v1/audit", false],
    ["viewer", "GET", "/api/v1/targets", true],
    ["viewer", "GET", "/api/v1/bootstrap-tokens", true],
    ["viewer", "GET", "/api/v1/sd/prometheus", true],
    ["viewer", "GET", `/api/v1/checks/target/${unknownId}`, true],
    ["viewer", "POST", "/api/v1/groups", false],
    ["viewer", "DELETE", `/api/v1/targets/${unknownId}`, false],
    ["viewer", "POST", "/api/v1/bootstrap/tokens", false],
    ["discovery", "GET", "/api/v1/sd/prometheus", true],
    ["discovery", "GET", "/metrics", true],
    ["discovery", "GET", "/api/v1/targets", false],
    ["discovery", "GET", "/api/v1/bootstrap-tokens", false],
    ["discovery", "POST", "/api/v1/groups", false],
    ["admin", "GET", "/api/v1/nodes/self/bundle", false],
    ["admin", "GET", "/api/v1/audit", true],
  ];
  test.each(rows)("%s %s %s: %p", async (role, method, path, allowed) => {
    const token = tokens.get(role) ?? server.adminToken;
    const answer = await server.call(method, path, { token, ...(method === "POST" ? { body: {} } : {}) });
    if (allowed) expect([401, 403]).not.toContain(answer.status);
    else expect([answer.status, codeOf(answer)]).toEqual([403, "FORBIDDEN"]);
  });

  test("a refusal is in the audit log, with who and what, and only so often", async () => {
    const viewer = tokens.get("viewer") ?? "";
    const rows = async () => {
      const { body } = await server.call<{ data: Record<string, unknown>[] }>("GET", "/api/v1/audit?limit=1000");
      return body.data.filter(({ action }) => action === "request.refuse");
    };
    await server.call("POST", "/api/v1/groups/purge", { token: viewer, body: {} });
    expect((await rows())[0]).toMatchObject({
      actor: expect.stringMatching(/^admin:viewer:/),
      actor_role: "viewer",
      address: "127.0.0.1",
      result: "FORBIDDEN",
      details: { method: "POST", path: "/api/v1/groups/purge" },
    });
    for (let i = 0; i < 60; i++) await server.call("GET", "/api/v1/audit", { token: viewer });
    expect((await rows()).length).toBeLessThan(60);
    expect(JSON.stringify([await rows(), server.logged])).not.toContain(viewer);
  });

  test.each([
    ["no header", {}],
    ["a wrong token", { authorization: `Bearer aami_admin_${"x".repeat(43)}` }],
    ["another scheme", { authorization: "Basic YTpi" }],
    ["no token", { authorization: "Bearer " }],
    ["a made-up JWT", { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." }],
  ])("%s is 401", async (_name, headers) => {
    const response = await fetch(`${server.url}/api/v1/groups`, { headers });
    expect(response.status).toBe(401);
  });

  test.each([
    ["an unknown token", "aami_admin_" + "x".repeat(43), "no such token"],
    ["a token that was cut off", "aami_admin_xyz", "cut off or mistyped"],
    ["something else", "hunter2", "cut off or mistyped"],
    ["a bootstrap token", `aami_bootstrap_abcdefghij_${"x".repeat(43)}`, "only registers nodes"],
  ])("%s: the message speaks of tokens, not of proofs", async (_name, token, message) => {
    for (const [method, path] of [
      ["GET", "/api/v1/groups"],
      ["POST", "/api/v1/groups"],
    ] as const) {
      const answer = await server.call<{ error: { message: string } }>(method, path, { token });
      expect([answer.status, codeOf(answer)]).toEqual([401, "UNAUTHORIZED"]);
      expect(answer.body.error.message).toContain(message);
    }
  });

  test("a token begins with its role", () => {
    for (const [role, token] of [["admin", server.adminToken], ...tokens] as const)
      expect(token).toStartWith(`aami_${role}_`);
  });

  test("a body is judged only after who sent it", async () => {
    const answer = await server.call("POST", "/api/v1/groups", {
      token: tokens.get("viewer") ?? "",
      body: { nonsense: 1 },
    });
    expect(answer.status).toBe(403);
  });

  test("a revoked or expired token is void at once", async () => {
    const token = await create<{ id: string; token: string }>("/api/v1/admin-tokens", { name: "gone", role: "viewer" });
    expect((await server.call("GET", "/api/v1/groups", { token: token.token })).status).toBe(200);
    expect((await server.call("DELETE", `/api/v1/admin-tokens/${token.id}`)).status).toBe(204);
    expect((await server.call("GET", "/api/v1/groups", { token: token.token })).status).toBe(401);
  });

  test("the page of the API is whole without any other server", async () => {
    const response = await fetch(`${server.url}/docs`);
    const page = await response.text();
    expect(response.status).toBe(200);
    expect(page).toContain("POST /api/v1/bootstrap/register");
    expect(page).toContain("GET /api/v1/audit");
    expect(page).not.toMatch(/<script|https?:\/\/|@import|url\(/);
  });

  test("every route has an entry in the table", async () => {
    const { accessOf } = await import("../../server/roles.ts");
    const spec = await server.call<{ paths: Record<string, Record<string, unknown>> }>("GET", "/docs/json", {
      token: "",
    });
    const routes = Object.entries(spec.body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    );
    expect(routes.length).toBeGreaterThan(60);
    expect(routes.filter(([method, path]) => accessOf(method, path) === undefined)).toEqual([]);
  });
});

describe("what is wrong with a field is said in words", () => {
  test.each([
    ["groups", { namespace: "logical" }, "name is missing"],
    ["groups", { name: "g p u", namespace: "logical" }, "name: expected letters, digits, `.`, `_` and `-`, beginning"],
    ["groups", { name: "gpu", parent_id: "x" }, "parent_id: expected a UUID"],
    ["groups", { name: "gpu", colour: "red" }, "unknown field colour"],
    ["groups", { name: "gpu", priority: 2000 }, "priority: expected integer to be less or equal to 1000"],
    ["bootstrap-tokens", { expires_at: "tomorrow" }, "expires_at: expected a time as 2026-12-31T23:59:59Z"],
    ["admin-tokens", { name: "x", role: "root" }, 'role: expected one of "admin", "operator", "viewer", "discovery"'],
    ["targets", { hostname: "a b", ip_address: "1.2.3.4" }, "hostname: expected letters, digits"],
  ])("%s %j", async (resource, body, message) => {
    const answer = await server.call<{ error: { message: string } }>("POST", `/api/v1/${resource}`, { body });
    expect([answer.status, codeOf(answer)]).toEqual([400, "VALIDATION_ERROR"]);
    expect(answer.body.error.message).toStartWith(message);
  });

  test("and with the query", async () => {
    const answer = await server.call<{ error: { message: string } }>("GET", "/api/v1/groups?limit=5000");
    expect(answer.body.error.message).toBe("limit: expected from 1 to 1000; default 20");
  });
});

describe("groups", () => {
  test("nest, resolve, rename, and stay while they are used", async () => {
    const aws = await create("/api/v1/groups", { name: "aws", namespace: "infrastructure" });
    const region = await create<{ id: string; path: string }>("/api/v1/groups", {
      name: "us-east-1",
      parent_id: aws.id,
      priority: 0,
    });
    expect(region).toMatchObject({ path: "infrastructure:aws/us-east-1", priority: 0, parent_id: aws.id });
    expect((await server.call("GET", "/api/v1/groups/resolve?path=infrastructure:aws/us-east-1")).body).toMatchObject({
      id: region.id,
    });
    expect(
      codeOf(await server.call("POST", "/api/v1/groups", { body: { name: "aws", namespace: "infrastructure" } })),
    ).toBe("ALREADY_EXISTS");
    expect(codeOf(await server.call("POST", "/api/v1/groups/delete", { body: { id: aws.id } }))).toBe("IN_USE");
    expect(
      (await server.call("PUT", `/api/v1/groups/${aws.id}`, { body: { name: "amazon", description: "" } })).body,
    ).toMatchObject({ path: "infrastructure:amazon" });
    expect((await server.call("GET", `/api/v1/groups/${region.id}`)).body).toMatchObject({
      path: "infrastructure:amazon/us-east-1",
    });
    for (const [step, status] of [
      ["delete", 204],
      ["delete", 404],
      ["restore", 204],
      ["purge", 404],
      ["delete", 204],
      ["purge", 204],
      ["restore", 404],
    ] as const) {
      expect((await server.call("POST", `/api/v1/groups/${step}`, { body: { id: region.id } })).status).toBe(status);
    }
  });
});

describe("lists", () => {
  test("are bare without page and limit, and count either way", async () => {
    for (const name of ["page-a", "page-b", "page-c"])
      await create("/api/v1/targets", { hostname: name, ip_address: "10.1.1.1" });
    const bare = await server.call<unknown[]>("GET", "/api/v1/targets");
    expect(Array.isArray(bare.body)).toBeTrue();
    expect(Number(bare.headers.get("x-total-count"))).toBe(bare.body.length);
    const page = await server.call("GET", "/api/v1/targets?page=2&limit=2");
    expect(page.body).toMatchObject({ pagination: { page: 2, limit: 2, total: bare.body.length } });
  });
});

describe("targets", () => {
  test("are made by hand with exporters and labels, filtered, changed, removed and made again", async () => {
    const home = await create("/api/v1/groups", { name: "onsite", namespace: "infrastructure" });
    const body = {
      hostname: "onsite-gpu-01",
      ip_address: "192.168.1.100",
      primary_group_id: home.id,
      exporters: [
        { type: "node_exporter", port: 9100, enabled: true },
        { type: "dcgm_exporter", port: 9400, enabled: false },
      ],
      labels: { datacenter: "seoul" },
    };
    const target = await create("/api/v1/targets", body);
    const sd = async (query = "") =>
      (
        await server.call<{ targets: string[] }[]>("GET", `/api/v1/sd/prometheus?group_id=${home.id}${query}`)
      ).body.flatMap(({ targets }) => targets);
    expect(await sd()).toEqual(["192.168.1.100:9100"]);
    expect(await sd("&enabled_only=false")).toEqual(["192.168.1.100:9100", "192.168.1.100:9400"]);
    expect(await sd("&exporter_type=dcgm_exporter")).toEqual([]);
    expect([...(await sd("&shard=0/2")), ...(await sd("&shard=1/2"))]).toEqual(["192.168.1.100:9100"]);
    const filtered = await server.call<unknown[]>(
      "GET",
      `/api/v1/targets?labels=${encodeURIComponent('{"datacenter":"seoul"}')}`,
    );
    expect(filtered.body).toHaveLength(1);
    expect((await server.call<unknown[]>("GET", "/api/v1/targets?hostname=onsite-gpu-01")).body).toHaveLength(1);
    await server.call("PUT", `/api/v1/targets/${target.id}`, { body: { labels: {}, status: "inactive" } });
    expect((await server.call("GET", `/api/v1/targets/${target.id}`)).body).toMatchObject({
      labels: {},
      status: "inactive",
      ip_address: "192.168.1.100",
    });
    expect(await sd()).toEqual([]);
    expect((await server.call("DELETE", `/api/v1/targets/${target.id}`)).status).toBe(204);
    const again = await create("/api/v1/targets", body);
    expect(again.id).not.toBe(target.id);
    expect(codeOf(await server.call("POST", "/api/v1/targets/restore", { body: { id: target.id } }))).toBe(
      "ALREADY_EXISTS",
    );
    expect(codeOf(await server.call("DELETE", `/api/v1/groups/${home.id}`))).toBe("IN_USE");
  });

  test.each([
    ["a bad address", { ip_address: "300.1.1.1" }, "ip_address"],
    ["an unknown group", { primary_group_id: unknownId }, "primary_group_id"],
    ["an unknown path", { primary_group: "logical:none" }, "primary_group"],
    ["an unknown exporter type", { exporters: [{ type: "x", port: 1 }] }, "exporters.0.type"],
    ["port 0", { exporters: [{ type: "custom", port: 0 }] }, "exporters.0.port"],
    ["a host name with markup", { hostname: "<script>" }, "hostname"],
  ])("%s names the field", async (_name, overrides, field) => {
    const answer = await server.call("POST", "/api/v1/targets", {
      body: { hostname: "bad", ip_address: "10.0.0.1", ...overrides },
    });
    expect(answer.body).toMatchObject({ error: { code: "VALIDATION_ERROR", details: { field } } });
  });
});

describe("templates and policies", () => {
  test("a policy is a snapshot; it says when the template moved on and copies again when asked", async () => {
    const template = await create("/api/v1/script-templates", { ...templateBody, name: "snapshot" });
    const policy = await create<{ id: string; hash: string }>("/api/v1/script-policies", {
      template_id: template.id,
      scope: "global",
      priority: 0,
      is_active: false,
    });
    expect(policy).toMatchObject({ priority: 0, is_active: false, is_outdated: false });
    await server.call("PUT", `/api/v1/script-templates/${template.id}`, {
      body: { script_content: "#!/bin/bash\necho 'mount_check 2'\n", version: "2.0.0" },
    });
    const outdated = await server.call("GET", `/api/v1/script-policies/${policy.id}`);
    expect(outdated.body).toMatchObject({ hash: policy.hash, is_outdated: true });
    const synced = await server.call("POST", `/api/v1/script-policies/${policy.id}/resync`);
    expect(synced.body).toMatchObject({ is_outdated: false, version: "2.0.0", priority: 0, is_active: false });
    expect(codeOf(await server.call("DELETE", `/api/v1/script-templates/${template.id}`))).toBe("IN_USE");
  });

  test("an interval may become a schedule and back; false, 0 and empty persist", async () => {
    const { name: _name, ...rest } = templateBody;
    const policy = await create<{ id: string }>("/api/v1/script-policies/direct", {
      ...rest,
      name: "direct-one",
      scope: "global",
    });
    const put = async (body: unknown) =>
      (await server.call("PUT", `/api/v1/script-policies/${policy.id}`, { body })).body;
    expect(await put({ schedule: "*/5 * * * *" })).toEqual(
      expect.not.objectContaining({ interval_seconds: expect.anything() }),
    );
    expect(await put({ interval_seconds: 120 })).toEqual(expect.not.objectContaining({ schedule: expect.anything() }));
    expect(await put({ is_active: false, priority: 0, description: "", config: {} })).toMatchObject({
      is_active: false,
      priority: 0,
      description: "",
      config: {},
    });
    expect((await server.call("GET", `/api/v1/script-policies/${policy.id}`)).body).toMatchObject({
      is_active: false,
      priority: 0,
      interval_seconds: 120,
    });
  });

  test.each([
    ["root_dsik", {}, "name: there is no builtin check root_dsik; did you mean root_disk?"],
    ["toaster", {}, "name: there is no builtin check toaster; known: amd_gpu_count, "],
    ["root_disk", { warning_free: 0.1 }, "config: parameter warning_free: unexpected property"],
    [
      "root_disk",
      { warning_free_ratio: 7 },
      "config: parameter warning_free_ratio: expected number to be less or equal to 1",
    ],
  ])("a policy for a builtin check %s with %p is refused", async (name, config, message) => {
    const body = { name, script_type: "host", language: "builtin", scope: "global", config };
    const answer = await server.call("POST", "/api/v1/script-policies", { body });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      error: { code: "VALIDATION_ERROR", message: expect.stringContaining(message) },
    });
  });

  test("a policy for a builtin check needs no script and no type", async () => {
    const body = { name: "root_disk", language: "builtin", scope: "global", config: { warning_free_ratio: 0.2 } };
    const policy = await create("/api/v1/script-policies", body);
    expect(policy).toMatchObject({ language: "builtin", script_content: "", script_type: "builtin" });
    const bash = { ...body, name: "no_script", language: "bash", script_type: "host" };
    expect((await server.call("POST", "/api/v1/script-policies", { body: bash })).status).toBe(400);
  });

  test("configuration keys may name paths", async () => {
    const template = await create("/api/v1/script-templates", {
      ...templateBody,
      name: "with-paths",
      permissions: { paths_from_config: ["mount_points"] },
    });
    const good = await server.call("POST", "/api/v1/script-policies", {
      body: { template_id: template.id, scope: "global", config: { mount_points: ["/mnt/a"] }, is_active: false },
    });
    expect(good.status).toBe(201);
    const bad = await server.call("POST", "/api/v1/script-policies", {
      body: { template_id: template.id, scope: "global", config: { mount_points: ["/mnt/../etc"] } },
    });
    expect(bad.body).toMatchObject({ error: { details: { field: "config.mount_points" } } });
  });

  const direct = { ...templateBody, name: "refused", scope: "global" };
  test.each([
    ["a global policy with a group", { ...direct, group_id: unknownId }, "group_id"],
    ["a group policy without one", { ...direct, scope: "group" }, "group_id"],
    ["an unknown group", { ...direct, scope: "group", group_id: unknownId }, "group_id"],
    ["an unknown template", { template_id: unknownId, scope: "global" }, "template_id"],
    ["an unknown language", { ...direct, language: "perl" }, "language"],
    ["Windows line ends", { ...direct, script_content: "echo 1\r\necho 2\r\n" }, "script_content"],
    ["a NUL character", { ...direct, script_content: "echo \0" }, "script_content"],
    ["a byte order mark", { ...direct, script_content: "\ufeffecho 1" }, "script_content"],
    ["an empty script", { ...direct, script_content: "  \n" }, "script_content"],
    ["a script of more than 256 KiB", { ...direct, script_content: "€".repeat(100_000) }, "script_content"],
    ["a timeout as long as the interval", { ...direct, timeout_seconds: 60 }, "timeout_seconds"],
    ["interval and schedule", { ...direct, interval_seconds: 60, schedule: "* * * * *" }, "schedule"],
    ["a pattern that is none", { ...direct, schedule: "every morning" }, "schedule"],
    ["an unknown permission", { ...direct, permissions: { root: true } }, "permissions.root"],
    ["a path outside the grammar", { ...direct, permissions: { paths: ["/a b"] } }, "permissions.paths.0"],
    ["a name that is no file name", { ...direct, name: "../x" }, "name"],
  ])("%s is refused and named", async (_name, body, field) => {
    const answer = await server.call("POST", "/api/v1/script-policies", { body });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "VALIDATION_ERROR", details: { field } } } });
  });
});

describe("bootstrap tokens", () => {
  test("are shown once; an own secret works on both paths", async () => {
    const own = await create<{ id: string; token: string }>("/api/v1/bootstrap/tokens", {
      token: "my-secure-bootstrap-token-12345",
      description: "AWS",
      max_uses: 100,
      expires_at: "2099-12-31T23:59:59+09:00",
    });
    expect(own.token).toBe("my-secure-bootstrap-token-12345");
    const shown = await server.call("GET", `/api/v1/bootstrap-tokens/${own.id}`);
    expect(shown.body).toMatchObject({
      expires_at: "2099-12-31T14:59:59.000Z",
      state: "valid",
      remaining_uses: 100,
      name: "AWS",
    });
    expect(JSON.stringify([shown.body, (await server.call("GET", "/api/v1/bootstrap-tokens")).body])).not.toContain(
      "my-secure",
    );
    const fingerprint = (await server.createToken()).token.slice(-43);
    expect((await server.register(own.token, { hostname: "own-token", fingerprint })).status).toBe(201);
    expect(server.logged.join("")).not.toContain("my-secure");
  });

  test("can be validated without a use, rotated and revoked", async () => {
    const token = await server.createToken({ max_uses: 1 });
    const validate = (secret: string) =>
      server.call("POST", "/api/v1/bootstrap/tokens/validate", { body: { token: secret }, token: "" });
    expect((await validate(token.token)).body).toMatchObject({ valid: true, remaining_uses: 1 });
    const rotated = await server.call<{ token: string }>("POST", `/api/v1/bootstrap-tokens/${token.id}/rotate`);
    expect(codeOf(await validate(token.token))).toBe("TOKEN_INVALID");
    expect((await validate(rotated.body.token)).status).toBe(200);
    await server.call("POST", `/api/v1/bootstrap-tokens/${token.id}/revoke`);
    expect(codeOf(await validate(rotated.body.token))).toBe("TOKEN_REVOKED");
  });

  test.each([
    ["an unknown group", { default_group_id: 123 }, "default_group_id"],
    ["a past expiry", { expires_at: "2024-12-31T23:59:59Z" }, "expires_at"],
    ["an expiry without zone", { expires_at: "2099-12-31T23:59:59" }, "expires_at"],
    ["no uses", { max_uses: 0 }, "max_uses"],
    ["a short secret", { token: "secret" }, "token"],
    ["a secret in our own form", { token: `aami_bootstrap_${"a".repeat(10)}_${"b".repeat(43)}` }, "token"],
  ])("%s is refused", async (_name, body, field) => {
    const answer = await server.call("POST", "/api/v1/bootstrap-tokens", { body });
    expect(answer).toMatchObject({ status: 400, body: { error: { details: { field } } } });
  });
});

describe("two active policies of one name", () => {
  const script = { ...templateBody, name: "twice" };
  const post = (body: Record<string, unknown>) =>
    server.call<{ id: string; error: { message: string } }>("POST", "/api/v1/script-policies/direct", {
      body: { ...script, ...body },
    });

  test.each(["global", "group"])("%s: of one priority are refused, for either would run by chance", async (scope) => {
    const group = await create("/api/v1/groups", { name: `twice-${scope}`, namespace: "logical" });
    const place = scope === "group" ? { scope, group_id: group.id } : { scope };
    const first = (await post(place)).body;
    const second = await post(place);
    expect([second.status, codeOf(second)]).toEqual([409, "ALREADY_EXISTS"]);
    expect(second.body.error.message).toContain(`policy ${first.id} is the active ${scope} policy "twice"`);
    expect(second.body.error.message).toEndWith("edit or deactivate it, or give this one another priority");

    const higher = await post({ ...place, priority: 200 });
    const asleep = await post({ ...place, is_active: false });
    expect([higher.status, asleep.status]).toEqual([201, 201]);
    const path = `/api/v1/script-policies/${asleep.body.id}`;
    const woken = await server.call<{ error: { message: string } }>("PUT", path, { body: { is_active: true } });
    expect(woken.status).toBe(409);
    expect(woken.body.error.message).toContain(first.id);
    expect(woken.body.error.message).toContain(asleep.body.id);
    expect((await server.call("PUT", path, { body: { is_active: true, priority: 50 } })).status).toBe(200);

    await server.call("DELETE", `/api/v1/script-policies/${first.id}`);
    const third = (await post(place)).body;
    const back = await server.call("POST", "/api/v1/script-policies/restore", { body: { id: first.id } });
    expect([back.status, codeOf(back)]).toEqual([409, "ALREADY_EXISTS"]);
    for (const { id } of [third, higher.body, asleep.body])
      await server.call("DELETE", `/api/v1/script-policies/${id}`);
  });
});

test("every change is in the audit log with who, from where and what", async () => {
  const made = await create("/api/v1/groups", { name: "audited", namespace: "logical" });
  const audit = await server.call<{ data: Record<string, unknown>[] }>("GET", "/api/v1/audit?limit=1");
  expect(audit.body.data[0]).toMatchObject({
    action: "group.create",
    resource_id: made.id,
    actor_role: "admin",
    address: "127.0.0.1",
    result: "ok",
  });
  const refused = await server.register((await server.createToken({ max_uses: 1 })).token, {
    hostname: "audit-1",
    key: createSigningKey(),
    extra: { group_id: unknownId },
  });
  expect(refused.status).toBe(400);
});

test("no secret is ever logged", () => {
  const lines = server.logged.join("");
  expect(lines).not.toContain(server.adminToken);
  expect(lines).not.toContain("aami_bootstrap_");
});
