import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { considerBundle } from "../../protocol/bundle.ts";
import { openRegistration } from "../../protocol/registration.ts";
import { waitFor } from "../harness/wait.ts";
import { codeOf, startTestServer, templateBody, type TestNode, type TestServer } from "./harness.ts";

let server: TestServer;
let node: TestNode;
let groupId: string;
let policyId: string;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const bundlePath = "/api/v1/nodes/self/bundle";
const poll = (headers: Record<string, string> = {}) => server.nodeCall(node, "GET", bundlePath, { headers });

describe("from an empty server to a node with a check", () => {
  test("a group, a token and a template are made", async () => {
    const group = await server.call<{ id: string; path: string; priority: number }>("POST", "/api/v1/groups", {
      body: { name: "gpu", namespace: "logical", description: "GPU nodes" },
    });
    expect(group).toMatchObject({ status: 201, body: { path: "logical:gpu", priority: 100 } });
    groupId = group.body.id;
    const template = await server.call<{ id: string; hash: string }>("POST", "/api/v1/script-templates", {
      body: templateBody,
    });
    expect(template.status).toBe(201);
    const policy = await server.call<{ id: string; priority: number; is_active: boolean }>(
      "POST",
      "/api/v1/script-policies",
      {
        body: {
          template_id: template.body.id,
          scope: "group",
          group_id: groupId,
          config: { mount_points: ["/mnt/models"] },
        },
      },
    );
    expect(policy).toMatchObject({
      status: 201,
      body: { priority: 100, is_active: true, hash: template.body.hash, is_outdated: false },
    });
    policyId = policy.body.id;
  });

  test("a node registers and believes the answer because of the token's fingerprint", async () => {
    const token = await server.createToken({ default_group_id: groupId, labels: { rack: "r1" } });
    const answer = await server.register(token.token, {
      hostname: "gpu-01",
      extra: { inventory: { memory_bytes: 1024 }, metadata: { region: "x" } },
    });
    expect(answer).toMatchObject({
      status: 201,
      body: { created: true, remaining_uses: 99, groups: [{ path: "logical:gpu" }] },
    });
    expect(answer.body.checks).toMatchObject([
      { name: "check-mount-points", config: { mount_points: ["/mnt/models"] }, instance_id: policyId },
    ]);
    const fingerprint = token.token.slice(-43);
    const statement = await openRegistration(answer.body, { serverFingerprint: fingerprint, nodeKeyId: answer.key.id });
    expect(statement).toMatchObject({ fleet: server.fleet, node_id: answer.body.node_id });
    node = { id: answer.body.node_id, key: answer.key };
    const target = await server.call("GET", `/api/v1/targets/${node.id}`);
    expect(target.body).toMatchObject({
      labels: { rack: "r1" },
      metadata: { region: "x" },
      inventory: { memory_bytes: 1024 },
      ip_address: "127.0.0.1",
    });

    const response = await poll();
    const bytes = await response.bytes();
    const state = {
      fleet: statement.fleet,
      trustedKeys: statement.trusted_keys,
      epoch: 0,
      version: 0,
      hash: "",
      clockFloorMs: 0,
    };
    const decision = await considerBundle(bytes, state, Date.now());
    expect(decision).toMatchObject({ action: "install", refused: [] });
    expect(decision.checks).toMatchObject([
      { name: "check-mount-points", language: "bash", interval_seconds: 60, timeout_seconds: 30, group_id: groupId },
    ]);
    const [check] = decision.checks;
    const blob = await server.nodeCall(node, "GET", `/api/v1/blobs/${check?.hash ?? ""}`);
    expect(await blob.text()).toBe(templateBody.script_content);
    expect(blob.headers.get("cache-control")).toContain("immutable");
  });

  test("an unchanged bundle is 304 with its tag", async () => {
    const etag = (await poll()).headers.get("etag") ?? "";
    const again = await poll({ "if-none-match": etag });
    expect(again.status).toBe(304);
    expect(again.headers.get("etag")).toBe(etag);
  });

  test("a waiting poll wakes at a policy change", async () => {
    const etag = (await poll()).headers.get("etag") ?? "";
    const waiting = poll({ "if-none-match": etag, prefer: "wait=40" });
    await waitFor(
      "the poll to be held",
      async () =>
        (await server.call<{ waiting_polls: number }>("GET", "/api/v1/targets/summary")).body.waiting_polls === 1,
    );
    const changedAt = performance.now();
    await server.call("PUT", `/api/v1/script-policies/${policyId}`, {
      body: { config: { mount_points: ["/mnt/other"] } },
    });
    const answer = await waiting;
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).not.toBe(etag);
    // Not by the end of its own 40 s.
    expect(performance.now() - changedAt).toBeLessThan(20_000);
  });

  test("the checks endpoint has the eight fields, by id and by host name", async () => {
    const byId = await server.call<Record<string, unknown>[]>("GET", `/api/v1/checks/target/${node.id}`);
    expect(Object.keys(byId.body[0] ?? {}).toSorted()).toEqual([
      "config",
      "hash",
      "instance_id",
      "language",
      "name",
      "script_content",
      "script_type",
      "version",
    ]);
    for (const path of ["/api/v1/checks/hostname/gpu-01", "/api/v1/checks/target/hostname/gpu-01"]) {
      expect((await server.call<unknown[]>("GET", path)).body).toEqual(byId.body);
    }
    expect(codeOf(await server.call("GET", "/api/v1/checks/hostname/nobody"))).toBe("NOT_FOUND");
    expect((await server.nodeCall(node, "GET", `/api/v1/checks/target/${node.id}`)).status).toBe(200);
  });

  test("the node appears in service discovery", async () => {
    const found = await server.call<{ targets: string[]; labels: Record<string, string> }[]>(
      "GET",
      "/api/v1/sd/prometheus",
    );
    expect(found.body).toMatchObject([
      {
        targets: ["127.0.0.1:9100"],
        labels: { exporter_type: "node_exporter", instance: "gpu-01", group_id: groupId, target_label_rack: "r1" },
      },
    ]);
    // It would silently take the place of the job_name that Prometheus is configured with.
    expect(found.body[0]?.labels).not.toHaveProperty("job");
  });

  test("a status report is kept; an older one is dropped", async () => {
    const report = (sequence: number, state: string) =>
      server.nodeCall(node, "POST", "/api/v1/nodes/self/status", {
        body: JSON.stringify({ sequence, daemon_version: "1", state }),
      });
    expect((await report(5, "applied")).status).toBe(204);
    expect((await report(4, "failed")).status).toBe(204);
    expect((await server.call("GET", `/api/v1/targets/${node.id}`)).body).toMatchObject({
      report: { state: "applied" },
    });
  });
});
