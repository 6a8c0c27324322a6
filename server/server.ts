import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { createReplayMemory } from "../protocol/replay-memory.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { describeError, type Logger } from "../runtime/log.ts";
import { createApp } from "./app.ts";
import { toAuditEntry } from "./audit.ts";
import { createAuth } from "./auth.ts";
import { createBundles } from "./bundles.ts";
import { type Listen, parseListen, readTrustedProxies, type ServerConfig } from "./config.ts";
import type { Caller, Services } from "./context.ts";
import { createRateLimit } from "./http/rate-limit.ts";
import { openIdentity } from "./identity.ts";
import { startLiveness } from "./liveness.ts";
import { createServerMetrics } from "./metrics.ts";
import { createNodes } from "./nodes.ts";
import { createPolls } from "./polls.ts";
import { createRefusals } from "./refusals.ts";
import { createRegistration } from "./registration.ts";
import { startRetention } from "./retention.ts";
import { watchRevisions } from "./revisions.ts";
import { seedDefaults, type ShippedTemplate } from "./seed.ts";
import { openStore, type Store } from "./store/store.ts";

export interface RunningServer {
  /** http://host:port, with the port that was bound. */
  readonly url: string;
  readonly fleet: string;
  /** Answers waiting nodes, finishes what runs, writes what is pending, closes the store. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly now?: () => number;
  readonly shippedTemplates?: readonly ShippedTemplate[];
}

/** Opens everything in order; what was opened is closed again when a later step fails. */
export async function startServer({
  config,
  log,
  now = Date.now,
  shippedTemplates = [],
}: ServerOptions): Promise<RunningServer> {
  const dataDirectory = resolve(config.data);
  const previousMask = process.umask(0o077); // also for SQLite's -wal and -shm files
  makeDataDirectory(dataDirectory);
  const store = await openStore(config.database ?? `sqlite://${join(dataDirectory, "server.db")}`);
  try {
    const identity = await openIdentity({ store, dataDirectory, log, now });
    await seedDefaults({ store, templates: shippedTemplates, now, log });
    return await listen({ config, log, now, store, identity });
  } catch (error) {
    await store.close();
    throw error;
  } finally {
    process.umask(previousMask);
  }
}

interface ListenOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly now: () => number;
  readonly store: Store;
  readonly identity: Services["identity"];
}

async function listen({ config, log, now, store, identity }: ListenOptions): Promise<RunningServer> {
  const revisions = await watchRevisions(store, log);
  const replay = createReplayMemory({ now });
  const nodes = createNodes(store, now);
  const bundles = createBundles({ store, identity, revisions, log, now });
  const polls = createPolls({ bundles, nodes, revisions });
  const downAfterMs = config.nodes.down_after_seconds * 1000;
  const liveness = startLiveness({
    store,
    log,
    now,
    flushIntervalMs: config.nodes.heartbeat_write_seconds * 1000,
    downAfterMs,
  });
  const retention = startRetention({ store, log, now, keepDays: config.audit.keep_days });
  const callers = new WeakMap<Request, Caller>();
  const callerOf = (request: Request): Caller => callers.get(request) ?? unidentified();
  const { attempts_per_second: perSecond, attempts_burst: burst } = config.registration;
  const services: Services = {
    store,
    identity,
    revisions,
    nodes,
    bundles,
    polls,
    liveness,
    log,
    now,
    callerOf,
    startedAtMs: now(),
    refusals: createRefusals({ store, log, now }),
    auth: createAuth({ store, nodes, fleet: identity.fleet, replay, now }),
    registration: createRegistration({ store, identity, bundles, nodes, replay, now, downAfterMs }),
    registrationLimit: {
      attempts: createRateLimit({ perSecond, burst }, now),
      failures: createRateLimit(
        { perSecond: config.registration.failures_per_minute / 60, burst: config.registration.failures_burst },
        now,
      ),
    },
    change: (request, change, work) =>
      revisions.change(async (tx) => {
        const result = await work(tx);
        await tx.audit.append(toAuditEntry(callerOf(request), change, "ok", now()));
        return result;
      }),
  };
  const metrics = createServerMetrics({ store, polls, revisions, startedAtMs: services.startedAtMs });
  const app = createApp({
    services,
    metrics,
    callers,
    trustedProxies: readTrustedProxies(config),
    maxBodyBytes: config.max_body_bytes,
  });
  const url = bind(app, parseListen(config.listen));
  return {
    url,
    fleet: identity.fleet,
    stop: async () => {
      polls.drain();
      revisions.stop();
      await app.stop(false);
      await liveness.stop();
      await retention.stop();
      await store.close();
    },
  };
}

function makeDataDirectory(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = String(describeError(error));
    throw new ExitError(ExitCode.failure, `data folder ${folder}: cannot be made: ${reason}`, { cause: error });
  }
}

function bind(app: ReturnType<typeof createApp>, { hostname, port }: Listen): string {
  try {
    // Longer than any poll waits: Bun would cut a silent connection after 10 s. Bun's own limit of a body answers without
    // an error code, so it is out of the way of ours.
    // Elysia would share the port with whoever has it, and the kernel would deal requests out to both.
    app.listen({ hostname, port, reusePort: false, idleTimeout: 120, maxRequestBodySize: Number.MAX_SAFE_INTEGER });
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    const reason = code === "EACCES" ? "permission denied" : "the port is in use by another program";
    throw new ExitError(ExitCode.failure, `cannot listen on ${hostname}:${port}: ${reason}`, { cause: error });
  }
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${app.server?.port ?? port}`;
}

function unidentified(): never {
  throw new Error("a handler ran before its caller was identified");
}
