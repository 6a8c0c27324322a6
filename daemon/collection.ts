import { backgroundCollectors } from "../collectors/background.ts";
import { type BackgroundCollector, isBackgroundCollector, type MetricFamily } from "../collectors/collector.ts";
import type { EventLog } from "../collectors/events.ts";
import { createProbePool, type ProbePool } from "../collectors/probe/pool.ts";
import { minimalEnvironment } from "../collectors/probe/process.ts";
import type { CollectSetup } from "../collectors/process.ts";
import { createSystemHost, type HostPaths } from "../collectors/system-host.ts";
import { describeError, type Logger } from "../runtime/log.ts";
import { collectorEngine } from "../runtime/lean-engine.ts";
import { selfCommand } from "../runtime/self.ts";
import type { LoadedConfig } from "./configuration.ts";
import { createScrapeEngine, type ScrapeEngine } from "./scrape/engine.ts";
import type { PageSource } from "./scrape/reading.ts";
import { type CollectorSource, createBackgroundSource, createProbeSource } from "./scrape/source.ts";

/** The collectors of one configuration: the collector process, the background collectors, the engine over both. */
export interface Collection {
  readonly engine: ScrapeEngine;
  readonly pool: ProbePool;
  readonly background: readonly RunningBackground[];
  /** Stops what `successor` does not go on with. */
  close(successor?: Collection): Promise<void>;
}

/** A background collector, and what it was made from: with the same it is kept over a reload, and its knowledge too. */
interface RunningBackground {
  readonly fingerprint: string;
  readonly collector: BackgroundCollector;
}

export interface CollectionOptions {
  readonly loaded: LoadedConfig;
  readonly pageSources: readonly PageSource[];
  readonly log: Logger;
  readonly events: EventLog;
  /** The one before, on a reload. */
  readonly previous?: Collection | undefined;
}

export function openCollection({ loaded, pageSources, log, events, previous }: CollectionOptions): Collection {
  const { config } = loaded;
  const paths: HostPaths = {
    procPath: config.paths.procfs,
    sysPath: config.paths.sysfs,
    rootPath: config.paths.rootfs,
    udevDataPath: config.paths.udev_data,
  };
  const collectors: Record<string, Record<string, unknown>> = {};
  const background: RunningBackground[] = [];
  const host = createSystemHost(paths, (what, error) => log.warn("reading left out", { what, error }));
  for (const { name, options } of loaded.collectors) {
    const definition = backgroundCollectors.find((candidate) => candidate.name === name);
    if (definition === undefined) {
      collectors[name] = options;
      continue;
    }
    const fingerprint = JSON.stringify([name, options, paths]);
    const kept = previous?.background.find((running) => running.fingerprint === fingerprint);
    const collector = kept?.collector ?? definition.create(options);
    if (!isBackgroundCollector(collector)) continue;
    if (kept === undefined) collector.start({ host, log: log.with({ collector: name }), events });
    background.push({ fingerprint, collector });
  }
  const setup: CollectSetup = { paths, collectors };
  const environment = { ...minimalEnvironment(), ...collectorEngine };
  const pool = createProbePool({ name: "collect", command: selfCommand("probe", "collect"), setup, log, environment });
  if (Object.keys(collectors).length > 0) pool.start();
  const sources: CollectorSource[] = [
    ...Object.keys(collectors).map((name) => createProbeSource(name, pool)),
    ...background.map(({ collector }) => createBackgroundSource(collector, host)),
  ];
  const offPage = new Set(loaded.collectors.filter(({ forChecks }) => forChecks).map(({ name }) => name));
  const timeoutMs = config.scrape.collector_timeout_seconds * 1000;
  return {
    engine: createScrapeEngine({
      sources,
      timeoutMs,
      pageSources: [...pageSources, processSource(pool)],
      offPage,
      log,
    }),
    pool,
    background,
    close: async (successor) => {
      pool.close();
      const ending = background.filter(
        (running) => !successor?.background.includes(running) && !isKept(running, successor),
      );
      for (const { collector } of ending) {
        await collector
          .stop()
          .catch((error) =>
            log.warn("collector did not stop", { collector: collector.name, error: describeError(error) }),
          );
      }
    },
  };
}

function isKept({ collector }: RunningBackground, successor: Collection | undefined): boolean {
  return successor?.background.some((running) => running.collector === collector) ?? false;
}

/** How many children the collectors have, so that one that cannot be ended does not stay unseen. */
function processSource(pool: ProbePool): PageSource {
  let known = { running: Number.NaN, abandoned: Number.NaN };
  let families: readonly MetricFamily[] = [];
  return {
    families: () => {
      const { running, abandoned } = pool.processes();
      if (running === known.running && abandoned === known.abandoned) return families;
      known = { running, abandoned };
      const sample = (state: string, value: number) => ({ labels: { state }, value });
      families = [
        {
          name: "aami_collector_processes",
          help: "Collector processes: at work, and killed because they did not answer but not gone yet.",
          type: "gauge",
          samples: [sample("abandoned", abandoned), sample("running", running - abandoned)],
        },
      ];
      return families;
    },
  };
}
