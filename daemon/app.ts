import { ExitCode, ExitError } from "../runtime/exit.ts";
import { describeError, type Logger } from "../runtime/log.ts";
import { passedDescriptors } from "../runtime/passed-sockets.ts";
import type { LoadedConfig } from "./configuration.ts";
import type { DaemonConfig } from "./config.ts";
import { type Collection, openCollection } from "./collection.ts";
import { listen } from "./http/listen.ts";
import { createMetricsHandler } from "./http/metrics.ts";
import { createRoutes, type RouteOptions } from "./http/routes.ts";
import { createHeapKeeper } from "./heap-keeper.ts";
import { createInstrumentation } from "./instrumentation.ts";
import { type Endpoint, openParts } from "./node/parts.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { createProcessSource } from "./process-metrics.ts";
import { describeReload, listNeedRestart, type Reload } from "./reload.ts";
import { createReadings } from "./scrape/readings.ts";
import type { PageSource } from "./scrape/reading.ts";
import { renderStatusPage } from "./status/page.ts";
import { type ConfigurationView, type StatusView, toStatusView } from "./status/view.ts";
import { connectServiceManager } from "./systemd.ts";

/** A stopped daemon lets running answers end for this long. */
const stopGraceMs = 1000;

export interface Daemon {
  readonly addresses: readonly string[];
  /** Reads the configuration again. */
  reload(): Promise<Reload>;
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  /** Reads the same again. */
  readonly load: () => Promise<LoadedConfig>;
  readonly log: Logger;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export async function startDaemon({ loaded, load, log, environment = process.env }: DaemonOptions): Promise<Daemon> {
  let current = loaded;
  let { config } = loaded;
  const descriptors = config.web.systemd_socket ? requireDescriptors(environment) : undefined;
  const instrumentation = createInstrumentation();
  const endpoint = Promise.withResolvers<Endpoint>();
  const readings = createReadings(
    () => collection.engine,
    () => config.scrape.collector_timeout_seconds * 1000,
  );
  const { parts, events, checks, selectChecks, node } = openParts({
    config,
    log,
    endpoint: endpoint.promise,
    readings,
  });
  const heap = createHeapKeeper();
  const startedAt = Date.now();
  const manager = connectServiceManager(environment, log);
  let ready = false;
  let stopped = false;
  let notInForce: ConfigurationView | undefined;

  const pageSources = (): PageSource[] => {
    const exporter = [instrumentation.exporterSource, createProcessSource()];
    return [instrumentation.ownSource, ...parts, ...(config.web.disable_exporter_metrics ? [] : exporter)];
  };
  const open = (previous?: Collection): Collection =>
    openCollection({ loaded: current, pageSources: pageSources(), log, events, previous });

  const noteLoad = ({ warnings, file }: LoadedConfig): void => {
    for (const warning of warnings) log.warn("command line", { warning });
    instrumentation.noteConfiguration(true);
    log.info("configuration in force", file === undefined ? { defaults: true } : { file });
  };

  const status = ({ engine, pool }: Collection): StatusView =>
    toStatusView({
      startedAt,
      ready,
      checks: checks(),
      collectors: engine.status(),
      stuck: pool.stuckJobs(),
      processes: pool.processes(),
      node: node(),
      configuration: notInForce,
      events: events.since(0),
    });

  const routeOptions = (collection: Collection): RouteOptions => ({
    telemetryPath: config.web.telemetry_path,
    metrics: createMetricsHandler({
      engine: collection.engine,
      settings: {
        collectorTimeoutSeconds: config.scrape.collector_timeout_seconds,
        timeoutMarginSeconds: config.scrape.timeout_margin_seconds,
        maxRequests: config.web.max_requests,
      },
      instrumentation,
      isKnownCollector: (name) => current.knownCollectors.includes(name),
      heap,
      log,
    }),
    status: () => status(collection),
    statusPage: () => renderStatusPage(status(collection), { telemetryPath: config.web.telemetry_path }),
    isReady: () => ready,
    isLifecycleOpen: config.web.enable_lifecycle,
    reload,
    parts: (request, path) => {
      for (const part of parts) {
        const answer = part.route?.(request, path);
        if (answer !== undefined) return answer;
      }
      return undefined;
    },
  });

  const stopping: Reload = { problem: "the daemon is stopping", needRestart: [] };
  const reload = oneAtATime(async (): Promise<Reload> => {
    const outcome = await loadAndApply();
    const reason = describeReload(outcome);
    const since = notInForce?.not_in_force_since ?? new Date().toISOString();
    notInForce = reason === undefined ? undefined : { not_in_force_since: since, reason };
    return outcome;
  });

  const loadAndApply = async (): Promise<Reload> => {
    if (stopped) return stopping;
    manager.notify("RELOADING=1");
    try {
      const next = await load();
      if (stopped) return stopping;
      const previous = collection;
      const unchanged = isSameCollection(config, next.config);
      const { collector_timeout_seconds: previousTimeoutSeconds } = config.scrape;
      current = next;
      config = next.config;
      if (!unchanged) collection = open(previous);
      routes = routeOptions(collection);
      selectChecks(config.checks);
      noteLoad(next);
      if (!unchanged) retire(previous, collection, previousTimeoutSeconds, log);
      const needRestart = listNeedRestart(loaded.config, config);
      if (needRestart.length > 0) log.warn("changed settings need a restart", { settings: needRestart });
      return { needRestart };
    } catch (error) {
      const reason = String(describeError(error));
      instrumentation.noteConfiguration(false);
      log.error("configuration cannot be used, the one before stays in force", { error: reason });
      return { problem: reason, needRestart: [] };
    } finally {
      if (!stopped) manager.notify("READY=1");
    }
  };

  noteLoad(loaded);
  let collection = open();
  let routes = routeOptions(collection);
  for (const part of parts) await part.start();
  const { listen_addresses: addresses, config_file: webConfigFile } = config.web;
  const handler = createRoutes(() => routes);
  const listeners = await listen({ addresses, descriptors, webConfigFile, handler, log }).catch(
    async (error: unknown) => {
      for (const part of parts.toReversed()) await part.stop();
      await collection.close();
      throw error;
    },
  );
  endpoint.resolve(listeners);
  ready = true;
  manager.notify("READY=1");

  return {
    addresses: listeners.addresses,
    reload,
    stop: async () => {
      ready = false;
      stopped = true;
      manager.notify("STOPPING=1");
      manager.stop();
      heap.stop();
      await listeners.stop(stopGraceMs);
      for (const part of parts.toReversed()) await part.stop();
      await collection.close();
    },
  };
}

function requireDescriptors(environment: Readonly<Record<string, string | undefined>>): number[] {
  const descriptors = passedDescriptors(environment);
  if (descriptors.length > 0) return descriptors;
  throw new ExitError(
    ExitCode.failure,
    "--web.systemd-socket: no socket activation file descriptors found; " +
      "let a socket unit of the same name start the daemon, or use --web.listen-address",
  );
}

/** What is known about collectors that hang is not thrown away for a reload that does not concern them. */
function isSameCollection(before: DaemonConfig, after: DaemonConfig): boolean {
  const relevant = ({ paths, collectors, scrape, web }: DaemonConfig): string =>
    JSON.stringify([paths, collectors, scrape, web.disable_exporter_metrics]);
  return relevant(before) === relevant(after);
}

/** Scrapes that began with the old collectors end with them. */
function retire(previous: Collection, successor: Collection, timeoutSeconds: number, log: Logger): void {
  setTimeout(() => {
    previous.close(successor).catch((error: unknown) => log.error("collectors did not close", { error }));
  }, timeoutSeconds * 1000).unref();
}
