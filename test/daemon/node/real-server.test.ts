import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CheckDefinition } from "../../../checks/check.ts";
import { ServerConfig as NodeServerConfig } from "../../../daemon/node/config.ts";
import { createNode, type Node } from "../../../daemon/node/node.ts";
import { type NodeStore, openNodeStore } from "../../../daemon/node/store.ts";
import { parseConfig } from "../../../runtime/config.ts";
import { createLogger, silentLogger } from "../../../runtime/log.ts";
import { ServerConfig } from "../../../server/config.ts";
import { type RunningServer, startServer } from "../../../server/server.ts";
import { waitFor } from "../../harness/wait.ts";
import { until } from "./node-rig.ts";

/** The real control server and a real node in one process, over HTTP on the loopback interface. */
class Fleet {
  readonly folder = mkdtempSync(join(tmpdir(), "aami-fleet-"));
  readonly tokenFile = join(this.folder, "token");
  readonly running = new Map<string, CheckDefinition>();
  readonly lines: Record<string, unknown>[] = [];
  /** Added to the clock of the server alone. */
  serverAheadMs = 0;
  server: RunningServer | undefined;
  store: NodeStore | undefined;
  node: Node | undefined;
  port = 0;

  async startServer(): Promise<void> {
    const settings = { listen: `127.0.0.1:${this.port}`, data: join(this.folder, "server") };
    const config = parseConfig(ServerConfig, JSON.stringify(settings), "test");
    this.server = await startServer({ config, log: silentLogger, now: () => Date.now() + this.serverAheadMs });
    this.port = Number(new URL(this.server.url).port);
  }

  async stopServer(): Promise<void> {
    await this.server?.stop();
    this.server = undefined;
  }

  async api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const admin = readFileSync(join(this.folder, "server/admin.token"), "utf8").trim();
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  async createToken(options: Record<string, unknown> = {}): Promise<string> {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const { token } = await this.api<{ token: string }>("POST", "/bootstrap-tokens", {
      name: "test",
      max_uses: 5,
      expires_at: expires,
      ...options,
    });
    return token;
  }

  applyCheck(name: string, script: string): Promise<{ id: string }> {
    return this.api("POST", "/script-policies/direct", {
      name,
      script_type: "mount",
      language: "bash",
      script_content: script,
      version: "1.0.0",
      scope: "global",
      config: {},
    });
  }

  writeToken(token: string): void {
    writeFileSync(this.tokenFile, token, { mode: 0o600 });
  }

  async startNode(extra: Partial<NodeServerConfig> = {}): Promise<Node> {
    const log = createLogger({ level: "debug", write: (line) => this.lines.push(JSON.parse(line)) });
    const directory = join(this.folder, "node");
    const settings = { url: `http://127.0.0.1:${this.port}`, token_file: this.tokenFile, hostname: "gpu-1", ...extra };
    this.running.clear();
    this.store = openNodeStore({ directory, log, programVersion: "1.0.0", machine: { machineId: "m1" } });
    this.node = createNode({
      store: this.store,
      config: parseConfig(NodeServerConfig, JSON.stringify(settings), "test"),
      checks: {
        replace: (definitions) => {
          this.running.clear();
          for (const definition of definitions) this.running.set(definition.name, definition);
        },
        status: () => [],
      },
      describeMachine: async () => ({ inventory: { memory_bytes: 1024 }, cloud: {} }),
      exporters: async () => [{ type: "node_exporter", port: 9100 }],
      daemonVersion: "1.0.0",
      log,
      random: () => 0,
    });
    await this.node.start();
    return this.node;
  }

  async stopNode(): Promise<void> {
    await this.node?.stop();
    this.store?.close();
    this.node = undefined;
    this.store = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopNode();
    await this.stopServer();
    rmSync(this.folder, { recursive: true });
  }
}

async function openFleet({ check = "echo 'm 1'" } = {}): Promise<Fleet> {
  const fleet = new Fleet();
  await fleet.startServer();
  await fleet.applyCheck("disk", check);
  fleet.writeToken(await fleet.createToken());
  return fleet;
}

describe("a node and the real control server", () => {
  test("register, receive, a change arrives by the held poll, and the server knows what runs", async () => {
    await using fleet = await openFleet();
    await fleet.startNode();
    await until("the check runs", () => fleet.running.has("disk"));
    const second = await fleet.applyCheck("memory", "echo 'm 2'");
    const changedAt = performance.now();
    await until("the second arrives", () => fleet.running.has("memory"));
    // Not by the end of a poll, of which one takes 25 s or more.
    expect(performance.now() - changedAt).toBeLessThan(20_000);
    await fleet.api("PUT", `/script-policies/${second.id}`, { is_active: false });
    await until("it is gone", () => !fleet.running.has("memory"));

    const nodeId = fleet.store?.identity.registration?.nodeId ?? "";
    const version = fleet.node?.status().bundle?.version ?? 0;
    const target = await fleet.api<{ hostname: string; inventory: unknown }>("GET", `/targets/${nodeId}`);
    expect(target).toMatchObject({ hostname: "gpu-1" });
    const reported = async () =>
      (await fleet.api<{ report: { active?: { version: number } } | null }>("GET", `/targets/${nodeId}`)).report?.active
        ?.version;
    await waitFor("the report", async () => (await reported()) === version);
  }, 180_000);

  test("the server stopped, the daemon restarted: it runs on, and follows again when the server is back", async () => {
    await using fleet = await openFleet();
    await fleet.startNode();
    await until("the check runs", () => fleet.running.has("disk"));
    await fleet.stopServer();
    await fleet.stopNode();
    const node = await fleet.startNode();
    expect([...fleet.running.keys()]).toEqual(["disk"]);
    await until("the failure is seen", () => node.status().error?.code === "unreachable");
    await fleet.startServer();
    await fleet.applyCheck("memory", "echo 'm 2'");
    await until("the next arrives", () => fleet.running.has("memory"));
  });

  test("a restarted server that kept its data goes on where it was", async () => {
    await using fleet = await openFleet();
    const node = await fleet.startNode();
    await until("the check runs", () => fleet.running.has("disk"));
    await fleet.stopServer();
    await fleet.startServer();
    await fleet.applyCheck("memory", "echo 'm 2'");
    await until("the next arrives", () => fleet.running.has("memory"));
    expect(node.status().error).toBeUndefined();
  });

  test("a node moved to another group gets that group's checks", async () => {
    await using fleet = await openFleet();
    const group = await fleet.api<{ id: string }>("POST", "/groups", { name: "gpu", namespace: "logical" });
    await fleet.api("POST", "/script-policies/direct", {
      name: "xid",
      script_type: "gpu",
      language: "bash",
      script_content: "echo 'x 1'",
      version: "1",
      scope: "group",
      group_id: group.id,
      config: {},
    });
    const node = await fleet.startNode();
    await until("the check runs", () => fleet.running.has("disk"));
    expect(fleet.running.has("xid")).toBe(false);
    const nodeId = fleet.store?.identity.registration?.nodeId ?? "";
    await fleet.api("PUT", `/targets/${nodeId}`, { primary_group_id: group.id });
    await until("the group's check runs", () => fleet.running.has("xid"));
    expect(fleet.running.get("xid")?.groupId).toBe(group.id);
    expect(node.status().error).toBeUndefined();
  });
});

describe("what the real server refuses", () => {
  test("a wrong token, then the right one", async () => {
    await using fleet = await openFleet();
    const token = await fleet.createToken();
    const [, , id, , fingerprint] = /^(aami_bootstrap)_([a-z2-7]{10})_([\w-]{43})_([\w-]{43})$/.exec(token) ?? [];
    fleet.writeToken(`aami_bootstrap_${id}_${"A".repeat(43)}_${fingerprint}`);
    const node = await fleet.startNode();
    await until("it is refused", () => node.status().error?.code === "TOKEN_INVALID");
    expect(node.status().error?.message).toContain(
      `create a new bootstrap token on the control server and write it to ${fleet.tokenFile}`,
    );
  });

  test("an expired token", async () => {
    await using fleet = await openFleet();
    fleet.serverAheadMs = 2 * 3_600_000;
    const node = await fleet.startNode();
    await until("it is refused", () => node.status().error?.code === "TOKEN_EXPIRED");
  });

  test("a group that does not exist, without a use of the token", async () => {
    await using fleet = await openFleet();
    const node = await fleet.startNode({ primary_group: "infrastructure:nowhere" });
    await until("it is refused", () => node.status().error?.code === "VALIDATION_ERROR");
    expect(node.status().error?.message).toContain("no group infrastructure:nowhere");
    const tokens = await fleet.api<{ uses: number }[]>("GET", "/bootstrap-tokens");
    expect(tokens.map(({ uses }) => uses)).toEqual([0]);
  });

  test("a node that was deleted: its checks go on", async () => {
    await using fleet = await openFleet();
    const node = await fleet.startNode();
    await until("the check runs", () => fleet.running.has("disk"));
    await fleet.api("POST", "/targets/delete", { id: fleet.store?.identity.registration?.nodeId });
    await until("the refusal is seen", () => /^NODE_/.test(node.status().error?.code ?? ""));
    expect([...fleet.running.keys()]).toEqual(["disk"]);
  });
});

test("state changed on disk is refused and fetched again from the real server", async () => {
  await using fleet = await openFleet();
  await fleet.startNode();
  await until("the check runs", () => fleet.running.has("disk"));
  await fleet.stopNode();
  const database = new Database(join(fleet.folder, "node/state.db"));
  database.query("UPDATE blobs SET bytes = ?").run(new TextEncoder().encode("echo 'm 6'"));
  database.close();
  const node = await fleet.startNode();
  expect(fleet.running.size).toBe(0);
  await until("it runs again", () => fleet.running.has("disk"));
  expect(new TextDecoder().decode(fleet.running.get("disk")?.script)).toBe("echo 'm 1'");
  await until("all is well", () => node.status().error === undefined);
});
