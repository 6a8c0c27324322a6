import { existsSync } from "node:fs";
import type { Labels } from "./collector.ts";
import { parseCpuList } from "./cpufreq.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute, readNumber } from "./read.ts";

interface ThrottleCount {
  readonly name: string;
  readonly help: string;
  readonly labels: Labels;
  readonly path: string;
}

/** What sysfs says about the CPUs and only changes with hot plug. */
export interface CpuTopology {
  readonly numbers: readonly number[];
  readonly isolated: readonly number[];
  /** Whether CPU 0 has an `online` file; where it has not, node_exporter publishes no node_cpu_online at all. */
  readonly hotplug: boolean;
  /** One file per core and one per package, out of the copies that every thread has. */
  readonly throttleCounts: readonly ThrottleCount[];
}

const maxAgeMs = 60_000;

/** Reads the topology once a minute: two or three files per CPU are too many for every scrape of a 200-CPU node. */
export function createTopologyReader(now: () => number = Date.now): (host: Host) => CpuTopology {
  let known: { readonly topology: CpuTopology; readonly until: number } | undefined;
  return (host) => {
    if (known === undefined || now() >= known.until) {
      known = { topology: readTopology(host), until: now() + maxAgeMs };
    }
    return known.topology;
  };
}

export function readTopology(host: Host): CpuTopology {
  const root = `${host.sysPath}/devices/system/cpu`;
  const names = listIfPresent(root).filter((name) => /^cpu[0-9]+$/.test(name));
  return {
    numbers: names.map((name) => Number(name.slice(3))),
    isolated: [...parseCpuList(readAttribute(host, `${root}/isolated`) ?? "")],
    hotplug: names[0] !== undefined && existsSync(`${root}/${names[0]}/online`),
    throttleCounts: findThrottleCounts(
      host,
      names.map((name) => `${root}/${name}`),
    ),
  };
}

function findThrottleCounts(host: Host, cpuPaths: readonly string[]): ThrottleCount[] {
  const found = new Map<string, ThrottleCount>();
  const addFirst = (count: ThrottleCount): void => {
    const key = `${count.name} ${count.labels["package"]} ${count.labels["core"] ?? ""}`;
    if (!found.has(key) && existsSync(count.path)) found.set(key, count);
  };
  for (const path of cpuPaths) {
    const packageId = readNumber(host, `${path}/topology/physical_package_id`) ?? -1;
    const coreId = readNumber(host, `${path}/topology/core_id`) ?? -1;
    // -1 is what some virtual platforms say, which node_exporter leaves out too.
    if (packageId < 0 || coreId < 0) continue;
    addFirst({
      name: "node_cpu_core_throttles_total",
      help: "Number of times this CPU core has been throttled.",
      labels: { package: String(packageId), core: String(coreId) },
      path: `${path}/thermal_throttle/core_throttle_count`,
    });
    addFirst({
      name: "node_cpu_package_throttles_total",
      help: "Number of times this CPU package has been throttled.",
      labels: { package: String(packageId) },
      path: `${path}/thermal_throttle/package_throttle_count`,
    });
  }
  return [...found.values()];
}
