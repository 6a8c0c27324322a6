import type { MetricObjectWithValues, MetricValue } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Registry from "prom-client/lib/registry.js";
import type { MetricFamily } from "../collectors/collector.ts";
import { buildInfo, compatibleNodeExporter } from "../runtime/version.ts";
import type { PageSource } from "./scrape/reading.ts";

/** What the daemon counts about itself. The promhttp_* names and codes are those of every Go exporter. */
export interface Instrumentation {
  readonly requests: Counter<"code">;
  readonly requestsInFlight: Gauge;
  readonly gatheringErrors: Counter<"cause">;
  /** A configuration has come into force, or could not be used. */
  noteConfiguration(inForce: boolean): void;
  /** promhttp_*: left out by web.disable_exporter_metrics. */
  readonly exporterSource: PageSource;
  /** aami_*: always on the page. */
  readonly ownSource: PageSource;
}

export function createInstrumentation(): Instrumentation {
  const exporter = new Registry();
  const own = new Registry();
  const requests = new Counter({
    name: "promhttp_metric_handler_requests_total",
    help: "Total number of scrapes by HTTP status code.",
    labelNames: ["code"],
    registers: [exporter],
  });
  for (const code of ["200", "500", "503"]) requests.inc({ code }, 0);
  const gatheringErrors = new Counter({
    name: "promhttp_metric_handler_errors_total",
    help: "Total number of internal errors encountered by the promhttp metric handler.",
    labelNames: ["cause"],
    registers: [exporter],
  });
  for (const cause of ["encoding", "gathering"]) gatheringErrors.inc({ cause }, 0);
  const requestsInFlight = new Gauge({
    name: "promhttp_metric_handler_requests_in_flight",
    help: "Current number of scrapes being served.",
    registers: [exporter],
  });
  const configReloadSuccessful = new Gauge({
    name: "aami_config_last_reload_successful",
    help: "Whether the last attempt to read the configuration succeeded; the one before stays in force otherwise.",
    registers: [own],
  });
  const configReloadSeconds = new Gauge({
    name: "aami_config_last_reload_success_timestamp_seconds",
    help: "When the configuration in force was read.",
    registers: [own],
  });
  /** The same until a configuration is read. */
  let ownFamilies: Promise<readonly MetricFamily[]> | undefined;
  return {
    requests,
    requestsInFlight,
    gatheringErrors,
    noteConfiguration: (inForce) => {
      configReloadSuccessful.set(inForce ? 1 : 0);
      if (inForce) configReloadSeconds.set(Date.now() / 1000);
      ownFamilies = undefined;
    },
    exporterSource: { families: () => toFamilies(exporter) },
    ownSource: { families: () => (ownFamilies ??= withBuild(toFamilies(own))) },
  };
}

async function toFamilies(registry: Registry): Promise<MetricFamily[]> {
  const metrics = (await registry.getMetricsAsJSON()) as MetricObjectWithValues<MetricValue<string>>[];
  return metrics.map(({ name, help, type, values }) => ({
    name,
    help,
    type: String(type) === "counter" ? "counter" : "gauge",
    samples: values.map(({ labels, value }) => ({ labels: toText(labels), value })),
  }));
}

async function withBuild(families: Promise<readonly MetricFamily[]>): Promise<readonly MetricFamily[]> {
  return [...buildFamilies, ...(await families)];
}

function toText(labels: Partial<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}

const { version, revision, branch, runtime, platform } = buildInfo;
const [goos = "", goarch = ""] = platform.split("/");

const buildFamilies: readonly MetricFamily[] = [
  {
    name: "aami_build_info",
    help: "Version of the program; the value is always 1.",
    type: "gauge",
    samples: [
      { labels: { version, revision, branch, runtime, compatible_node_exporter: compatibleNodeExporter }, value: 1 },
    ],
  },
  {
    // The version is ours: a page must not claim to come from a node_exporter that is not there.
    name: "node_exporter_build_info",
    help:
      "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter " +
      "was built, and the goos and goarch for the build.",
    type: "gauge",
    samples: [{ labels: { version, revision, branch, goversion: runtime, goos, goarch, tags: "aami" }, value: 1 }],
  },
];
