import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { hashCredential } from "../../../protocol/bootstrap-token.ts";
import { nodePaths } from "../../../protocol/status.ts";
import { createRig, until } from "./node-rig.ts";

const publishOne = {
  prepare: (server: { publish(v: number, s: Record<string, string>): Promise<unknown> }) =>
    server.publish(1, { disk: "echo 1" }),
};

describe("a node and its server", () => {
  test("registers, runs the bundle, and keeps no token", async () => {
    await using rig = await createRig({
      ...publishOne,
      config: { primary_group: "infrastructure:test", labels: { rack: "r1" } },
    });
    await until("the check runs", () => rig.running.has("disk"));
    const definition = rig.running.get("disk");
    expect(new TextDecoder().decode(definition?.script)).toBe("echo 1");
    expect(definition).toMatchObject({
      source: "bundle",
      policyId: "policy-disk",
      groupId: "g1",
      config: { path: "/data" },
    });
    expect(existsSync(rig.tokenFile)).toBe(false);
    const registration = JSON.parse(rig.server.requests.find(({ path }) => path === nodePaths.register)?.body ?? "");
    expect(registration).toMatchObject({
      primary_group: "infrastructure:test",
      labels: { rack: "r1" },
      metadata: { zone: "a" },
      inventory: { memory_bytes: 1024 },
      instance_id: "machine-1",
      exporters: [{ type: "node_exporter", port: 9100 }],
    });
    await until("the bundle is confirmed", () => rig.metric("aami_server_reachable") === 1);
    expect(rig.node.status()).toMatchObject({
      server: { reachable: true, registered: true },
      fleet: "fleet-1",
      bundle: { epoch: 1, version: 1, expired: false, source: "server", checks: 1, groups: ["infrastructure:test"] },
    });
  });

  test("a held poll brings the next revision, and reports the one that runs", async () => {
    await using rig = await createRig(publishOne);
    await until("the first runs", () => rig.running.has("disk"));
    await until("a poll is held", () => rig.server.requests.some(({ headers }) => headers.has("prefer")));
    await rig.server.publish(2, { memory: "echo 2" });
    await until("the second runs", () => rig.running.has("memory"));
    expect([...rig.running.keys()]).toEqual(["memory"]);
    await until("it is reported", () =>
      rig.server.requests.some(({ headers }) => headers.get("aami-applied-revision") === "1.2"),
    );
  });

  test("the ETag is remembered only with the bundle, and scripts that are there are not fetched again", async () => {
    await using rig = await createRig(publishOne);
    await until("the first runs", () => rig.running.has("disk"));
    await rig.server.publish(2, { disk: "echo 1", memory: "echo 2" });
    await until("the second runs", () => rig.running.has("memory"));
    const blobs = rig.server.requests.filter(({ path }) => path.startsWith(nodePaths.blob("")));
    expect(blobs).toHaveLength(2);
    await until("a held poll carries the second's tag", () =>
      rig.server.requests.some(({ headers }) => headers.get("if-none-match")?.startsWith('"1.2.') === true),
    );
  });

  test("no secret and no token is in the log or in the status", async () => {
    await using rig = await createRig(publishOne);
    await until("the check runs", () => rig.running.has("disk"));
    const text = JSON.stringify([rig.lines, rig.node.status()]);
    const [, , , secret = "none"] = rig.server.token.split("_");
    expect(text).not.toContain(secret);
    expect(text).not.toContain(hashCredential(rig.server.token));
    expect(text).not.toContain("PRIVATE");
  });

  test("stop ends a held poll at once", async () => {
    await using rig = await createRig(publishOne);
    await until("a poll is held", () => rig.server.requests.some(({ headers }) => headers.has("prefer")));
    // The fake server holds a poll for ever: a node that waited for its answer would never end.
    await rig.node.stop();
  });

  test("without a server nothing is asked, stored checks do not run, and nothing is said about a server", async () => {
    await using rig = await createRig(publishOne);
    await until("the check runs", () => rig.running.has("disk"));
    await rig.shutDown();
    const before = rig.server.requests.length;
    await rig.start({ config: undefined });
    expect([...rig.running.keys()]).toEqual([]);
    expect(rig.node.families()).toEqual([]);
    expect(rig.server.requests).toHaveLength(before);
  });
});

describe("server gone", () => {
  test("a restarted node runs from its own disk, and finds the server again", async () => {
    await using rig = await createRig(publishOne);
    await until("it runs", () => rig.running.has("disk"));
    rig.server.intercept = () => {
      throw new Error("connection refused");
    };
    await rig.restart();
    expect([...rig.running.keys()]).toEqual(["disk"]);
    expect(rig.metric("aami_bundle_revision")).toBe(1);
    await until("the failure is seen", () => rig.node.status().error?.code === "unreachable");
    expect([
      rig.metric("aami_server_reachable"),
      rig.metric("aami_check_fetch_status"),
      rig.metric("aami_registered"),
    ]).toEqual([0, 0, 1]);
    rig.server.intercept = () => undefined;
    await until("the server is back", () => rig.metric("aami_server_reachable") === 1);
    expect(rig.node.status().error).toBeUndefined();
    const warnings = rig.lines.filter(
      ({ level, msg }) => level === "warn" && msg === "bundle sync failed, the active revision stays",
    );
    expect(warnings).toHaveLength(1);
  });

  test("an expired bundle keeps running, with a flag", async () => {
    await using rig = await createRig(publishOne);
    await until("it runs", () => rig.running.has("disk"));
    rig.server.intercept = () => {
      throw new Error("connection refused");
    };
    rig.clock.nowMs += 40 * 86_400_000;
    await rig.restart();
    expect([...rig.running.keys()]).toEqual(["disk"]);
    expect(rig.metric("aami_bundle_expired")).toBe(1);
  });

  test("waits grow with jitter, and Retry-After is obeyed up to a limit", async () => {
    await using rig = await createRig(publishOne);
    await until("it runs", () => rig.running.has("disk"));
    rig.server.intercept = (path) =>
      path === nodePaths.bundle
        ? new Response("busy", { status: 503, headers: { "retry-after": "1000000000" } })
        : undefined;
    await rig.restart();
    await until("it waits", () => rig.waits.some((ms) => ms >= 900_000));
    expect(Math.max(...rig.waits)).toBeLessThanOrEqual(15 * 60_000 * 1.2);
    expect(rig.node.status().error?.code).toBe("HTTP_503");
  });
});

describe("a refused credential", () => {
  test("checks go on, nothing is registered without a token, and a new token is used", async () => {
    await using rig = await createRig(publishOne);
    await until("it runs", () => rig.running.has("disk"));
    rig.server.nodes.clear();
    await rig.restart();
    await until("the refusal is seen", () => rig.node.status().error?.code === "NODE_UNKNOWN");
    expect([...rig.running.keys()]).toEqual(["disk"]);
    expect(rig.metric("aami_registered")).toBe(0);
    expect(rig.node.status().error?.message).toContain(`write a new bootstrap token to ${rig.tokenFile}`);
    expect(rig.server.requests.filter(({ path }) => path === nodePaths.register)).toHaveLength(1);
    writeFileSync(rig.tokenFile, rig.server.token, { mode: 0o600 });
    await until("it is registered again", () => rig.metric("aami_registered") === 1);
    expect(rig.server.nodes.size).toBe(1);
  });
});
