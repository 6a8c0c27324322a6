import { describe, expect, test } from "bun:test";
import { createSigningKey } from "../../protocol/keys.ts";
import { waitFor } from "../harness/wait.ts";
import { codeOf, startTestServer, type TestServer } from "./harness.ts";

const targets = async (server: TestServer) =>
  (await server.call<{ id: string; hostname: string }[]>("GET", "/api/v1/targets")).body;
const usesOf = async (server: TestServer, id: string) =>
  (await server.call<{ uses: number }>("GET", `/api/v1/bootstrap-tokens/${id}`)).body.uses;

describe("a token that is not good", () => {
  test("says why, with a code of its own, and nothing is written", async () => {
    let nowMs = Date.now();
    await using server = await startTestServer({ now: () => nowMs });
    const good = await server.createToken();
    const exhausted = await server.createToken({ max_uses: 1 });
    await server.register(exhausted.token, { hostname: "first" });
    const revoked = await server.createToken();
    await server.call("POST", `/api/v1/bootstrap-tokens/${revoked.id}/revoke`);
    const expired = await server.createToken({ expires_at: new Date(nowMs + 1000).toISOString() });
    nowMs += 2000;
    const wrong = `${good.token.slice(0, 40)}${good.token[40] === "A" ? "B" : "A"}${good.token.slice(41)}`;
    const cut = good.token.slice(0, -2);
    const rows = [
      [wrong, 401, "TOKEN_INVALID"],
      [exhausted.token, 401, "TOKEN_EXHAUSTED"],
      [revoked.token, 401, "TOKEN_REVOKED"],
      [expired.token, 401, "TOKEN_EXPIRED"],
    ] as const;
    for (const [token, status, code] of rows) {
      const answer = await server.register(token, { hostname: "second" });
      expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    }
    const malformed = await server.call("POST", "/api/v1/bootstrap/register", {
      body: { token: cut, hostname: "x" },
      token: "",
    });
    expect([malformed.status, codeOf(malformed)]).toEqual([400, "VALIDATION_ERROR"]);
    expect((await targets(server)).map(({ hostname }) => hostname)).toEqual(["first"]);
    const audit = await server.call<{ data: { action: string; result: string }[] }>("GET", "/api/v1/audit?limit=100");
    const refusals = audit.body.data.filter(({ action, result }) => action === "node.register" && result !== "ok");
    expect(refusals.map(({ result }) => result).toSorted()).toEqual([
      "TOKEN_EXHAUSTED",
      "TOKEN_EXPIRED",
      "TOKEN_INVALID",
      "TOKEN_REVOKED",
    ]);
  });
});

describe("uses", () => {
  test("100 at once on max_uses 50 give exactly 50 nodes", async () => {
    await using server = await startTestServer();
    const token = await server.createToken({ max_uses: 50 });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => server.register(token.token, { hostname: `node-${i}` })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(50);
    expect(new Set(answers.filter(({ status }) => status !== 201).map(({ status }) => status))).toEqual(
      new Set([401, 429]),
    );
    expect(await targets(server)).toHaveLength(50);
    expect(await usesOf(server, token.id)).toBe(50);
  });

  test("a refused registration takes none and leaves nothing", async () => {
    await using server = await startTestServer();
    const token = await server.createToken({ max_uses: 1 });
    const other = createSigningKey();
    const rows: readonly (readonly [string, Record<string, unknown>, string])[] = [
      ["unknown group", { primary_group: "logical:none" }, "VALIDATION_ERROR"],
      ["unknown group id", { group_id: "nope" }, "VALIDATION_ERROR"],
      ["bad address", { ip_address: "1.2.3" }, "VALIDATION_ERROR"],
      ["unknown field", { colour: "red" }, "VALIDATION_ERROR"],
      ["a key that was not proven", { public_key: other.publicKey }, "INVALID_CREDENTIAL"],
      ["a weak key", { public_key: Buffer.alloc(32).toString("base64url") }, "VALIDATION_ERROR"],
      ["a key without proof", { proof: undefined }, "VALIDATION_ERROR"],
      ["a host name with a newline", { hostname: "a\nb" }, "VALIDATION_ERROR"],
    ];
    for (const [name, extra, code] of rows)
      expect([name, codeOf(await server.register(token.token, { extra }))]).toEqual([name, code]);
    expect(await usesOf(server, token.id)).toBe(0);
    expect(await targets(server)).toEqual([]);
    expect((await server.register(token.token)).status).toBe(201);
  });

  test("the same key again is the same node and takes none, even after the last use", async () => {
    await using server = await startTestServer();
    const token = await server.createToken({ max_uses: 1 });
    const first = await server.register(token.token, { extra: { labels: { a: "1" } } });
    const again = await server.register(token.token, { key: first.key, extra: { labels: { b: "2" } } });
    expect(again).toMatchObject({ status: 200, body: { node_id: first.body.node_id, created: false } });
    const renamed = await server.register(token.token, { key: first.key, hostname: "renamed" });
    expect(renamed.body.node_id).toBe(first.body.node_id);
    expect(await usesOf(server, token.id)).toBe(1);
    expect(await targets(server)).toMatchObject([
      { id: first.body.node_id, hostname: "renamed", labels: { a: "1", b: "2" } },
    ]);
    await server.call("POST", `/api/v1/bootstrap-tokens/${token.id}/revoke`);
    expect(codeOf(await server.register(token.token, { key: first.key }))).toBe("TOKEN_REVOKED");
  });
});

describe("who a registration is", () => {
  test("a new instance under an old host name takes the record over; the old key is void", async () => {
    let nowMs = Date.now();
    await using server = await startTestServer({ now: () => nowMs, config: { nodes: { down_after_seconds: 60 } } });
    const token = await server.createToken();
    const group = await server.call<{ id: string }>("POST", "/api/v1/groups", {
      body: { name: "kept", namespace: "logical" },
    });
    const old = await server.register(token.token, { extra: { instance_id: "i-1", primary_group: "logical:kept" } });
    nowMs += 61_000;
    const replaced = await server.register(token.token, { extra: { instance_id: "i-2" } });
    expect(replaced.body).toMatchObject({ node_id: old.body.node_id, created: false, groups: [{ id: group.body.id }] });
    expect(await usesOf(server, token.id)).toBe(2);
    const bundle = (key: typeof old.key) =>
      server.nodeCall({ id: old.body.node_id, key }, "GET", "/api/v1/nodes/self/bundle");
    expect((await bundle(replaced.key)).status).toBe(200);
    expect((await bundle(old.key)).status).toBe(401);
  });

  test("the record of a node that is alive is not taken over", async () => {
    let nowMs = Date.now();
    const config = { nodes: { down_after_seconds: 60, heartbeat_write_seconds: 0.1 } };
    await using server = await startTestServer({ now: () => nowMs, config });
    const token = await server.createToken();
    const alive = await server.register(token.token, { extra: { instance_id: "i-1" } });
    const node = { id: alive.body.node_id, key: alive.key };
    const bundle = () => server.nodeCall(node, "GET", "/api/v1/nodes/self/bundle", { nowMs });
    nowMs += 50_000;
    expect((await bundle()).status).toBe(200);
    await waitFor("the heartbeat to be written", async () => {
      const { body } = await server.call<{ last_seen: string }>("GET", `/api/v1/targets/${node.id}`);
      return Date.parse(body.last_seen) === nowMs;
    });
    nowMs += 50_000;
    const refused = await server.register(token.token, { extra: { instance_id: "i-2" } });
    expect([refused.status, codeOf(refused)]).toEqual([409, "IN_USE"]);
    expect(refused.body).toMatchObject({ error: { message: expect.stringContaining("was here 50 s ago") } });
    expect(await usesOf(server, token.id)).toBe(1);
    expect((await bundle()).status).toBe(200);
    nowMs += 61_000;
    expect((await server.register(token.token, { extra: { instance_id: "i-2" } })).status).toBe(200);
  });

  test("the same instance with a new key keeps its id and takes no use", async () => {
    await using server = await startTestServer();
    const token = await server.createToken({ max_uses: 2 });
    const old = await server.register(token.token, { extra: { instance_id: "i-1" } });
    const wiped = await server.register(token.token, { extra: { instance_id: "i-1" } });
    expect(wiped.body.node_id).toBe(old.body.node_id);
    expect(await usesOf(server, token.id)).toBe(1);
  });

  test("without a key it is listed, but takes nobody's place", async () => {
    await using server = await startTestServer();
    const token = await server.createToken({ max_uses: 5 });
    const plain = { token: token.token, hostname: "test-node" };
    const register = (body: unknown) =>
      server.call<{ node_id: string }>("POST", "/api/v1/bootstrap-tokens/register", { body, token: "" });
    const first = await register(plain);
    expect(first).toMatchObject({ status: 201, body: { groups: [{ path: "infrastructure:default" }] } });
    expect((await register(plain)).body.node_id).toBe(first.body.node_id);
    expect(await usesOf(server, token.id)).toBe(1);
    await server.register(token.token, { hostname: "keyed" });
    expect(codeOf(await register({ ...plain, hostname: "keyed" }))).toBe("ALREADY_EXISTS");
  });

  test("groups: the named one, else the token's, else the default; the token may forbid", async () => {
    await using server = await startTestServer();
    const make = async (name: string) =>
      (await server.call<{ id: string }>("POST", "/api/v1/groups", { body: { name, namespace: "logical" } })).body.id;
    const [home, allowed] = [await make("home"), await make("allowed")];
    await make("forbidden");
    const token = await server.createToken({ default_group_id: home, allowed_group_ids: [allowed] });
    const groupsOf = async (hostname: string, extra: Record<string, unknown>) => {
      const answer = await server.register(token.token, { hostname, extra });
      return answer.status === 201 ? answer.body.groups.map(({ path }) => path) : codeOf(answer);
    };
    expect(await groupsOf("a", {})).toEqual(["logical:home"]);
    expect(await groupsOf("b", { primary_group: "logical:allowed" })).toEqual(["logical:allowed"]);
    expect(await groupsOf("c", { group_id: allowed, secondary_groups: ["logical:home"] })).toEqual([
      "logical:allowed",
      "logical:home",
    ]);
    expect(await groupsOf("d", { primary_group: "logical:forbidden" })).toBe("FORBIDDEN");
  });
});

test("wrong tokens in a flood end in 429 with Retry-After; good ones still pass", async () => {
  await using server = await startTestServer();
  const good = await server.createToken();
  const bad = (await server.createToken()).token.replace(/_[^_]{3}/, "_aaa");
  const answers = await Promise.all(Array.from({ length: 60 }, () => server.register(bad, { hostname: "x" })));
  const limited = answers.filter(({ status }) => status === 429);
  expect(limited.length).toBeGreaterThan(20);
  expect(Number(limited[0]?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await server.register(good.token, { hostname: "good" })).status).toBe(201);
});

test("a proxy's word about the address counts only when it is trusted", async () => {
  const register = async (server: TestServer) => {
    const token = await server.createToken();
    const body = { token: token.token, hostname: "behind" };
    await server.call("POST", "/api/v1/bootstrap/register", {
      body,
      token: "",
      headers: { "x-forwarded-for": "9.9.9.9, 10.1.2.3" },
    });
    return (await server.call<{ ip_address: string }[]>("GET", "/api/v1/targets")).body[0]?.ip_address;
  };
  await using plain = await startTestServer();
  expect(await register(plain)).toBe("127.0.0.1");
  await using proxied = await startTestServer({ config: { trusted_proxies: ["127.0.0.1"] } });
  expect(await register(proxied)).toBe("10.1.2.3");
});

test("a token for one group does not take over a host of another", async () => {
  await using server = await startTestServer();
  const group = async (name: string) =>
    (
      await server.call<{ id: string; path: string }>("POST", "/api/v1/groups", {
        body: { name, namespace: "logical" },
      })
    ).body;
  const [own, other] = [await group("own"), await group("other")];
  const { token } = await server.createToken();
  const victim = await server.register(token, { hostname: "victim", extra: { primary_group: other.path } });
  const narrow = await server.createToken({ allowed_group_ids: [own.id], default_group_id: own.id });
  const refused = await server.register(narrow.token, { hostname: "victim" });
  expect([refused.status, codeOf(refused)]).toEqual([403, "FORBIDDEN"]);
  expect((await server.register(narrow.token, { hostname: "mine" })).status).toBe(201);
  const node = { id: victim.body.node_id, key: victim.key };
  expect((await server.nodeCall(node, "GET", "/api/v1/nodes/self/bundle")).status).toBe(200);
});
