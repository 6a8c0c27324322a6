import { SQL } from "bun";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, startTestServer, templateBody, type TestServer } from "./harness.ts";

const adminUrl = process.env["TEST_POSTGRES_URL"] ?? "";

describe.skipIf(adminUrl === "")("two servers on one PostgreSQL (TEST_POSTGRES_URL)", () => {
  const database = `aami_test_${Bun.randomUUIDv7().replaceAll("-", "")}`;
  let admin: SQL;
  let a: TestServer;
  let b: TestServer;

  beforeAll(async () => {
    admin = new SQL(adminUrl, { max: 1 });
    await admin.unsafe(`CREATE DATABASE ${database}`);
    const url = new URL(adminUrl);
    url.pathname = `/${database}`;
    const config = { database: url.href };
    a = await startTestServer({ config });
    const data = mkdtempSync(join(tmpdir(), "aami-second-"));
    // What an admin distributes: the fleet's signing key. The admin token is only for this test's client.
    for (const file of ["signing-key.pem", "admin.token"]) copyFileSync(join(a.data, file), join(data, file));
    b = await startTestServer({ config, data });
  });
  afterAll(async () => {
    await b[Symbol.asyncDispose]();
    await a[Symbol.asyncDispose]();
    await admin.unsafe(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    await admin.close();
  });

  test("a change on one wakes the node that waits at the other; both serve the same bytes", async () => {
    const { token } = await a.createToken();
    const { body, key } = await b.register(token, { hostname: "node-1" });
    const node = { id: body.node_id, key };
    const bundle = (server: TestServer, headers: Record<string, string> = {}) =>
      server.nodeCall(node, "GET", "/api/v1/nodes/self/bundle", { headers });
    const first = await bundle(b);
    const etag = first.headers.get("etag") ?? "";
    expect(await (await bundle(a)).text()).toBe(await first.text());
    const waiting = bundle(b, { "if-none-match": etag, prefer: "wait=30" });
    await a.call("POST", "/api/v1/script-policies/direct", { body: { ...templateBody, scope: "global" } });
    const answer = await waiting;
    expect(answer.status).toBe(200);
    expect(await (await bundle(a)).text()).toBe(await answer.text());
  });

  test("a token's uses are counted once for both", async () => {
    const { token } = await a.createToken({ max_uses: 10 });
    const register = (i: number) => (i % 2 === 0 ? a : b).register(token, { hostname: `many-${i}` });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => register(i)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
  });

  test("without its database a server says 503, everywhere, and lives", async () => {
    await admin.unsafe(`DROP DATABASE ${database} WITH (FORCE)`);
    expect((await a.call("GET", "/api/v1/health", { token: "" })).status).toBe(503);
    expect((await a.call("GET", "/api/v1/health/live", { token: "" })).status).toBe(200);
    const answer = await a.call("GET", "/api/v1/groups");
    expect([answer.status, codeOf(answer)]).toEqual([503, "UNAVAILABLE"]);
  });
});
