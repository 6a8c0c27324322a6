import { describe, expect, test } from "bun:test";
import { considerBundle } from "../../protocol/bundle.ts";
import { decodeJwt } from "jose";
import { signNodeRequest } from "../../protocol/proof.ts";
import { waitFor } from "../harness/wait.ts";
import { startTestServer, templateBody, type TestNode, type TestServer } from "./harness.ts";

const path = "/api/v1/nodes/self/bundle";
const enrol = async (
  server: TestServer,
  hostname = "node-1",
  extra: Record<string, unknown> = {},
): Promise<TestNode> => {
  const { token } = await server.createToken();
  const { body, key } = await server.register(token, { hostname, extra });
  return { id: body.node_id, key };
};
const poll = (server: TestServer, node: TestNode, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  server.nodeCall(node, "GET", path, { headers, ...(signal === undefined ? {} : { signal }) });
const versionOf = (response: Response): number => Number(response.headers.get("etag")?.split(".")[1]);
const waiting = async (server: TestServer) =>
  (await server.call<{ waiting_polls: number }>("GET", "/api/v1/targets/summary")).body.waiting_polls;
const makeGroup = async (server: TestServer, name: string) =>
  (await server.call<{ id: string }>("POST", "/api/v1/groups", { body: { name, namespace: "logical" } })).body.id;
const addPolicy = (server: TestServer, overrides: Record<string, unknown>) =>
  server.call<{ id: string }>("POST", "/api/v1/script-policies/direct", {
    body: { ...templateBody, scope: "global", ...overrides },
  });

describe("bundles", () => {
  test("versions only rise, whatever changes: policies, memberships, restarts", async () => {
    const first = await startTestServer();
    const node = await enrol(first, "node-1", { primary_group: "infrastructure:default" });
    const other = await makeGroup(first, "other");
    const versions: number[] = [];
    const look = async (server: TestServer) => void versions.push(versionOf(await poll(server, node)));
    await look(first);
    const policy = await addPolicy(first, {});
    await look(first);
    const target = await first.call<{ primary_group_id: string }>("GET", `/api/v1/targets/${node.id}`);
    await first.call("PUT", `/api/v1/targets/${node.id}`, { body: { primary_group_id: other } });
    await look(first);
    await first.call("PUT", `/api/v1/targets/${node.id}`, { body: { primary_group_id: target.body.primary_group_id } });
    await look(first);
    const before = await (await poll(first, node)).text();
    await first.stop();
    await using second = await startTestServer({ data: first.data });
    expect(await (await poll(second, node)).text()).toBe(before);
    await second.call("DELETE", `/api/v1/script-policies/${policy.body.id}`);
    await look(second);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(new Set(versions).size).toBe(5);
  });

  test("nodes with the same groups share one; a change elsewhere leaves it as it is", async () => {
    await using server = await startTestServer();
    const [gpu, storage] = [await makeGroup(server, "gpu"), await makeGroup(server, "storage")];
    const a = await enrol(server, "a", { group_id: gpu });
    const b = await enrol(server, "b", { group_id: gpu });
    const etag = (await poll(server, a)).headers.get("etag") ?? "";
    expect((await poll(server, b)).headers.get("etag")).toBe(etag);
    await addPolicy(server, { scope: "group", group_id: storage });
    expect((await poll(server, a, { "if-none-match": etag })).status).toBe(304);
  });

  test("a group's policy replaces the global one, ancestors count, inactive ones fall back", async () => {
    await using server = await startTestServer();
    const parent = await makeGroup(server, "parent");
    const child = (
      await server.call<{ id: string }>("POST", "/api/v1/groups", { body: { name: "child", parent_id: parent } })
    ).body.id;
    const node = await enrol(server, "n", { group_id: child });
    const winner = async () =>
      (await server.call<{ config: { from: string } }[]>("GET", `/api/v1/checks/target/${node.id}`)).body.map(
        ({ config }) => config.from,
      );
    expect(await winner()).toEqual([]);
    await addPolicy(server, { config: { from: "global" }, priority: 1000 });
    expect(await winner()).toEqual(["global"]);
    await addPolicy(server, { scope: "group", group_id: parent, config: { from: "parent" }, priority: 1 });
    expect(await winner()).toEqual(["parent"]);
    const own = await addPolicy(server, { scope: "group", group_id: child, config: { from: "child" }, priority: 1 });
    expect(await winner()).toEqual(["child"]);
    await server.call("PUT", `/api/v1/groups/${parent}`, { body: { priority: 200 } });
    expect(await winner()).toEqual(["parent"]);
    await server.call("PUT", `/api/v1/groups/${parent}`, { body: { priority: 0 } });
    await server.call("PUT", `/api/v1/script-policies/${own.body.id}`, { body: { is_active: false } });
    expect(await winner()).toEqual(["parent"]);
  });

  test("a week later it is issued anew, so that one that expires is never all there is", async () => {
    let nowMs = Date.now();
    await using server = await startTestServer({ now: () => nowMs });
    const node = await enrol(server);
    const look = async () => {
      const response = await server.nodeCall(node, "GET", path, { nowMs });
      return { version: versionOf(response), expires: String(decodeJwt(await response.text())["expires"]) };
    };
    const first = await look();
    nowMs += 6 * 24 * 3600 * 1000;
    expect(await look()).toEqual(first);
    nowMs += 2 * 24 * 3600 * 1000;
    const later = await look();
    expect(later.version).toBeGreaterThan(first.version);
    expect(Date.parse(later.expires)).toBeGreaterThan(Date.parse(first.expires));
  });

  test("what is served passes the node's own judgement", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    await addPolicy(server, { permissions: { paths_from_config: ["mount_points"], memory_mb: 64 } });
    const bytes = await (await poll(server, node)).bytes();
    const keys = decodeJwt(Buffer.from(bytes).toString())["trusted_keys"] as { id: string; public_key: string }[];
    const state = { fleet: server.fleet, trustedKeys: keys, epoch: 0, version: 0, hash: "", clockFloorMs: 0 };
    const decision = await considerBundle(bytes, state, Date.now());
    expect(decision.refused).toEqual([]);
    expect(decision.checks[0]?.permissions).toMatchObject({ paths: ["/data"], memory_mb: 64, network: "none" });
  });
});

describe("long polls", () => {
  test("end with 304 when nothing changes", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    const etag = (await poll(server, node)).headers.get("etag") ?? "";
    const started = performance.now();
    const answer = await poll(server, node, { "if-none-match": etag, prefer: "respond-async, wait=1" });
    expect(answer.status).toBe(304);
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(await waiting(server)).toBe(0);
  });

  test("a newer one of the same node ends the older; a client that hangs up leaves no trace", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    const etag = (await poll(server, node)).headers.get("etag") ?? "";
    const headers = { "if-none-match": etag, prefer: "wait=50" };
    const older = poll(server, node, headers);
    await waitFor("the poll to be held", async () => (await waiting(server)) === 1);
    const hangUp = new AbortController();
    const newer = poll(server, node, headers, hangUp.signal).catch(() => "hung up");
    expect((await older).status).toBe(304);
    expect(await waiting(server)).toBe(1);
    hangUp.abort();
    expect(await newer).toBe("hung up");
    await waitFor("no poll to be held", async () => (await waiting(server)) === 0);
  });

  test("a server that stops answers those who wait", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    const etag = (await poll(server, node)).headers.get("etag") ?? "";
    const open = poll(server, node, { "if-none-match": etag, prefer: "wait=50" });
    await waitFor("the poll to be held", async () => (await waiting(server)) === 1);
    const started = performance.now();
    await server.stop();
    expect((await open).status).toBe(304);
    // Not by the end of its own 50 s.
    expect(performance.now() - started).toBeLessThan(25_000);
  });

  test("a node that is removed while it waits is told", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    const etag = (await poll(server, node)).headers.get("etag") ?? "";
    const open = poll(server, node, { "if-none-match": etag, prefer: "wait=50" });
    await waitFor("the poll to be held", async () => (await waiting(server)) === 1);
    await server.call("DELETE", `/api/v1/targets/${node.id}`);
    expect((await open).status).toBe(401);
    expect((await poll(server, node)).status).toBe(401);
  });
});

describe("heartbeats", () => {
  test("a silent node goes down, stays discoverable, and comes back with its next poll", async () => {
    let nowMs = Date.now();
    await using server = await startTestServer({
      now: () => nowMs,
      config: { nodes: { down_after_seconds: 60, heartbeat_write_seconds: 0.1 } },
    });
    const node = await enrol(server);
    const status = async () =>
      (await server.call<{ status: string; applied_revision: string | null }>("GET", `/api/v1/targets/${node.id}`))
        .body;
    nowMs += 61_000;
    await waitFor("the node to be down", async () => (await status()).status === "down");
    expect((await server.call<unknown[]>("GET", "/api/v1/sd/prometheus")).body).toHaveLength(1);
    await server.nodeCall(node, "GET", path, { nowMs, headers: { "aami-applied-revision": "1.7" } });
    await waitFor("the node to be back", async () => (await status()).status === "active");
    expect((await status()).applied_revision).toBe("1.7");
  }, 180_000);

  test("a node leaves by itself", async () => {
    await using server = await startTestServer();
    const node = await enrol(server);
    expect((await server.nodeCall(node, "DELETE", "/api/v1/nodes/self")).status).toBe(204);
    expect((await server.call<unknown[]>("GET", "/api/v1/targets")).body).toEqual([]);
  });
});

test("everything is there after a restart, and the identity is the same", async () => {
  const first = await startTestServer();
  const node = await enrol(first);
  await addPolicy(first, {});
  const lists = (server: TestServer) =>
    Promise.all(
      ["groups", "targets", "bootstrap-tokens", "script-policies"].map(
        async (name) => (await server.call("GET", `/api/v1/${name}`)).body,
      ),
    );
  await (await poll(first, node)).bytes();
  await first.stop();
  await using second = await startTestServer({ data: first.data });
  expect(second.fleet).toBe(first.fleet);
  expect(second.adminToken).toBe(first.adminToken);
  const [groups, targets, tokens, policies] = await lists(second);
  expect([groups, targets, tokens, policies].map((list) => (list as unknown as unknown[]).length)).toEqual([
    1, 1, 1, 1,
  ]);
  expect((await poll(second, node)).status).toBe(200);
});

test("a proof works once, for one request and within five minutes", async () => {
  await using server = await startTestServer();
  const node = await enrol(server);
  const proof = await signNodeRequest({
    method: "GET",
    path,
    body: "",
    nodeId: node.id,
    audience: server.fleet,
    key: node.key,
    nowMs: Date.now(),
  });
  const send = async (to: string) => {
    const response = await fetch(server.url + to, { headers: { authorization: `Bearer ${proof}` } });
    return [response.status, ((await response.json().catch(() => ({}))) as { error?: { code: string } }).error?.code];
  };
  expect(await send(`/api/v1/checks/target/${node.id}`)).toEqual([401, "INVALID_CREDENTIAL"]);
  const blob = `/api/v1/blobs/${"0".repeat(64)}`;
  const once = await signNodeRequest({
    method: "GET",
    path: blob,
    body: "",
    nodeId: node.id,
    audience: server.fleet,
    key: node.key,
    nowMs: Date.now(),
  });
  const again = () => fetch(server.url + blob, { headers: { authorization: `Bearer ${once}` } });
  expect((await again()).status).toBe(404);
  expect((await again()).status).toBe(401);
  const skewed = await server.nodeCall(node, "GET", path, { nowMs: Date.now() - 600_000 });
  expect(await skewed.json()).toMatchObject({
    error: { code: "CLOCK_SKEW", details: { server_time: expect.any(String) } },
  });
});

describe("a node that floods", () => {
  const flood = async (server: TestServer, node: TestNode, path: string, count: number) => {
    const statuses = new Map<number, number>();
    for (let sent = 0; sent < count; sent += 50) {
      const batch = Array.from({ length: Math.min(50, count - sent) }, () => server.nodeCall(node, "GET", path));
      for (const { status } of await Promise.all(batch)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    return statuses;
  };

  test.each([
    ["polls", path, 60, 200],
    ["scripts", `/api/v1/blobs/${"0".repeat(64)}`, 1000, 404],
  ])(
    "%s: is told to wait, and others are served",
    async (_name, address, burst, usual) => {
      const startedAtMs = Date.now();
      await using server = await startTestServer({ now: () => startedAtMs });
      const [node, other] = [await enrol(server, "loud"), await enrol(server, "quiet")];
      expect(await flood(server, node, address, burst + 5)).toEqual(
        new Map([
          [usual, burst],
          [429, 5],
        ]),
      );
      const refused = await server.nodeCall(node, "GET", address);
      expect(refused.headers.get("retry-after")).toBe("1");
      expect((await server.nodeCall(other, "GET", address)).status).toBe(usual);
    },
    60_000,
  );
});

test("audit rows leave when they are old enough", async () => {
  const first = await startTestServer();
  const start = Date.now();
  await addPolicy(first, {});
  await first.stop();
  await using second = await startTestServer({ data: first.data, now: () => start + 401 * 24 * 3600 * 1000 });
  await waitFor("the old rows to be gone", async () => {
    const { body } = await second.call<{ data: unknown[] }>("GET", "/api/v1/audit?limit=10");
    return body.data.length === 0;
  });
});

describe("status reports", () => {
  const send = (server: TestServer, node: TestNode, report: Record<string, unknown>) =>
    server.nodeCall(node, "POST", "/api/v1/nodes/self/status", { body: JSON.stringify(report) });
  const report = { sequence: 1, daemon_version: "1", state: "applied" };

  test("one that is too large is refused, and so is a flood; other nodes are not affected", async () => {
    await using server = await startTestServer();
    const [node, other] = [await enrol(server, "loud"), await enrol(server, "quiet")];
    const check = { instance_id: "i", name: "c", result: "ok", message: "x".repeat(2000) };
    const large = await send(server, node, { ...report, checks: Array.from({ length: 300 }, () => check) });
    expect([large.status, await large.json()]).toMatchObject([413, { error: { code: "BODY_TOO_LARGE" } }]);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => send(server, node, { ...report, sequence: i + 1 })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 429]));
    expect((await send(server, other, report)).status).toBe(204);
    expect((await poll(server, node)).status).toBe(200);
  });
});
