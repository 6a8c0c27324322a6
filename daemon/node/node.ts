import { readFileSync } from "node:fs";
import type { MetricFamily } from "../../collectors/collector.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { type ServerConfig, transportWarning } from "./config.ts";
import { applyChecks, type NodeContext, type NodeOptions } from "./context.ts";
import { liveInFleet } from "./fleet.ts";
import { readBootId } from "./machine.ts";
import { nodeFamilies } from "./metrics.ts";
import { createReporter } from "./report.ts";
import { sleep as realSleep } from "./sleep.ts";
import { createMemory, type NodeView, toNodeView, toReport } from "./status.ts";
import { openFromDisk } from "./start.ts";
import { endTrial, endTrialLater } from "./trial.ts";
import { createTransport } from "./transport.ts";

const stopGraceMs = 900;

/** The part of the daemon that belongs to a fleet. Whatever fails here, the page and the checks go on. */
export interface Node {
  /** Resolves when the checks on disk are verified and run; the server is asked in the background. */
  start(): Promise<void>;
  /** Ends a held poll at once. The store stays open: it belongs to the caller. */
  stop(): Promise<void>;
  status(): NodeView;
  families(): MetricFamily[];
}

export function createNode(options: NodeOptions): Node {
  const { config } = options;
  return config ? createFleetNode({ ...options, config }) : createLoneNode(options);
}

function createLoneNode(options: NodeOptions): Node {
  return {
    start: async () => applyChecks(options, undefined),
    stop: async () => {},
    status: () => ({ events: [] }),
    families: () => [],
  };
}

function createFleetNode(options: NodeOptions & { readonly config: ServerConfig }): Node {
  const context = createContext(options);
  const { memory, transport, store, now } = context;
  const stopping = new AbortController();
  let work: Promise<void> = Promise.resolve();
  return {
    start: async () => {
      const warning = transportWarning(context.config);
      if (warning !== undefined)
        context.log.warn("connection to the control server is not private", { reason: warning });
      await openFromDisk(context);
      void endTrialLater(context, stopping.signal);
      work = liveInFleet(context, stopping.signal);
    },
    stop: async () => {
      stopping.abort();
      // Everything in there ends with the signal; should something not, the daemon ends all the same.
      await Promise.race([work, realSleep(stopGraceMs, new AbortController().signal)]);
      // A stop that was asked for is no crash of the bundle's.
      endTrial(context);
    },
    status: () =>
      toNodeView(memory, { ...store, config: context.config, nowMs: now(), clockSkewMs: transport.clockSkewMs }),
    families: () =>
      nodeFamilies(memory, { nowMs: now(), clockSkewMs: transport.clockSkewMs, isPersistent: store.isPersistent }),
  };
}

function createContext(options: NodeOptions & { readonly config: ServerConfig }): NodeContext {
  const {
    config,
    now = Date.now,
    sleep = realSleep,
    random = Math.random,
    log,
    checks,
    sandbox,
    daemonVersion,
  } = options;
  const { fetch: send = fetch } = options;
  const ca = config.ca_file === undefined ? {} : { ca: readCa(config.ca_file) };
  const transport = createTransport({ baseUrl: config.url, fetch: send, now, ...ca });
  const memory = createMemory();
  const bootId = readBootId();
  const report = () =>
    toReport(memory, {
      nowMs: now(),
      clockSkewMs: transport.clockSkewMs,
      checks: checks.status(),
      sandbox: sandbox?.(),
      daemonVersion,
      bootId,
    });
  const reporter = createReporter({ report, log, sleep, random });
  return { ...options, now, sleep, random, memory, transport, reporter, bootId };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ExitError(ExitCode.badConfiguration, `server.ca_file: cannot read ${path}`, { cause: error });
  }
}
