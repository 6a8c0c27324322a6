import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Polls } from "./polls.ts";
import type { Revisions } from "./revisions.ts";
import type { Store } from "./store/store.ts";

/** The server's own instrumentation; it never passes on a node's metrics. */
export interface ServerMetrics {
  observe(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  page(): Promise<string>;
}

interface MetricSources {
  readonly store: Store;
  readonly polls: Polls;
  readonly revisions: Revisions;
  readonly startedAtMs: number;
}

export function createServerMetrics({ store, polls, revisions, startedAtMs }: MetricSources): ServerMetrics {
  const registers = [new Registry()];
  const requests = new Counter({
    name: "aami_server_http_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "aami_server_http_request_duration_seconds",
    help: "Time from a request to its answer, long polls included.",
    labelNames: ["route"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
    registers,
  });
  new Gauge({
    name: "aami_server_start_time_seconds",
    help: "Start of the process since the Unix epoch.",
    registers,
  }).set(startedAtMs / 1000);
  new Gauge({
    name: "aami_server_resident_memory_bytes",
    help: "Resident memory of the process.",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: "aami_server_waiting_polls",
    help: "Nodes that wait for a new bundle.",
    registers,
    collect() {
      this.set(polls.waiting());
    },
  });
  new Gauge({
    name: "aami_server_revision",
    help: "Changes of policies, groups and memberships so far.",
    registers,
    collect() {
      this.set(revisions.current());
    },
  });
  new Gauge({
    name: "aami_server_targets",
    help: "Targets by status.",
    labelNames: ["status"],
    registers,
    async collect() {
      for (const [status, count] of Object.entries(await store.targets.countByStatus())) this.set({ status }, count);
    },
  });
  return {
    observe: ({ method, route, status, seconds }) => {
      requests.inc({ method, route, status: String(status) });
      durations.observe({ route }, seconds);
    },
    page: () => Registry.merge(registers).metrics(),
  };
}
