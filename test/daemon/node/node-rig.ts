import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { CheckDefinition } from "../../../checks/check.ts";
import { ServerConfig } from "../../../daemon/node/config.ts";
import type { NodeOptions } from "../../../daemon/node/context.ts";
import { createNode, type Node } from "../../../daemon/node/node.ts";
import { type NodeStore, openNodeStore } from "../../../daemon/node/store.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { parseConfig } from "../../../runtime/config.ts";
import { createLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";
import { createFakeServer, type FakeServer } from "./fake-server.ts";

/** A node whose server, clock and waiting a test controls; its disk is real. */
export interface Rig {
  readonly server: FakeServer;
  readonly directory: string;
  readonly tokenFile: string;
  /** The checks that would run now. */
  readonly running: Map<string, CheckDefinition>;
  readonly lines: Record<string, unknown>[];
  /** How long the node wanted to wait, in milliseconds. */
  readonly waits: number[];
  readonly clock: {
    nowMs: number;
    /** The server's clock less the node's. */
    serverAheadMs: number;
  };
  node: Node;
  store: NodeStore;
  /** As after an exec: everything in memory is gone, the disk is not. */
  restart(options?: Partial<NodeOptions>): Promise<void>;
  start(options?: Partial<NodeOptions>): Promise<void>;
  shutDown(): Promise<void>;
  /** The value of a series on the node's part of the page. */
  metric(series: string): number | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RigOptions {
  readonly token?: string | null;
  readonly config?: Partial<ServerConfig>;
  readonly node?: Partial<NodeOptions>;
  readonly prepare?: (server: FakeServer) => Promise<unknown>;
  readonly serverAheadMs?: number;
  readonly maxStateBytes?: number;
}

export async function createRig(options: RigOptions = {}): Promise<Rig> {
  const directory = join(mkdtempSync(join(tmpdir(), "aami-node-")), "lib");
  const tokenFile = join(dirname(directory), "token");
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level: "debug", write: (line) => lines.push(JSON.parse(line)) });
  const running = new Map<string, CheckDefinition>();
  const waits: number[] = [];
  const clock = { nowMs: Date.UTC(2026, 10, 21), serverAheadMs: options.serverAheadMs ?? 0 };
  const server = createFakeServer(() => clock.nowMs + clock.serverAheadMs);
  if (options.token !== null) writeFileSync(tokenFile, `${options.token ?? server.token}\n`, { mode: 0o600 });
  const yaml = JSON.stringify({ url: "https://server.test", token_file: tokenFile, ...options.config });
  const config = parseConfig(ServerConfig, yaml, "test.yaml");

  const machine = { machineId: "machine-1" };
  const limit = options.maxStateBytes === undefined ? {} : { maxStateBytes: options.maxStateBytes };

  const start = async (extra: Partial<NodeOptions> = {}) => {
    rig.store = openNodeStore({ directory, log, programVersion: "1.0.0", machine, ...limit });
    rig.node = createNode({
      store: rig.store,
      config,
      checks: {
        replace: (definitions) => {
          running.clear();
          for (const definition of definitions) running.set(definition.name, definition);
        },
        status: () => [],
      },
      describeMachine: async () => ({ inventory: { memory_bytes: 1024 }, cloud: { zone: "a" } }),
      exporters: async () => [{ type: "node_exporter", port: 9100 }],
      daemonVersion: "1.0.0",
      log,
      fetch: server.fetch,
      now: () => clock.nowMs,
      random: () => 0.5,
      sleep: async (ms, signal) => {
        waits.push(ms);
        // Time passes at once, but other work gets its turn.
        if (!signal.aborted) await Bun.sleep(1);
        clock.nowMs += ms < 60_000 ? ms : 0;
      },
      ...options.node,
      ...extra,
    });
    await rig.node.start();
  };

  const rig: Rig = {
    server,
    directory,
    tokenFile,
    running,
    lines,
    waits,
    clock,
    node: undefined as unknown as Node,
    store: undefined as unknown as NodeStore,
    restart: async (extra) => {
      await rig.shutDown();
      running.clear();
      await start(extra);
    },
    start,
    shutDown: async () => {
      await rig.node.stop();
      rig.store.close();
    },
    metric: (series) => {
      const line = encodeFamilies(rig.node.families())
        .flatMap(({ text }) => text.split("\n"))
        .find((text) => text.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
    [Symbol.asyncDispose]: async () => {
      await rig.shutDown();
      rmSync(dirname(directory), { recursive: true });
    },
  };
  await options.prepare?.(server);
  await start();
  return rig;
}

/** Waits for a condition, and says which one did not come true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  await waitFor(what, condition);
}
