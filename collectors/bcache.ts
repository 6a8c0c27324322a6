import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute } from "./read.ts";

type Table = Readonly<Record<string, FamilyHead>>;

/** Families by attribute of /sys/fs/bcache/<uuid>, see Documentation/admin-guide/bcache.rst of the kernel. */
const ofSet: Table = {
  average_key_size: gauge("node_bcache_average_key_size_sectors", "Average data per key in the btree (sectors)."),
  btree_cache_size: gauge("node_bcache_btree_cache_size_bytes", "Amount of memory currently used by the btree cache."),
  cache_available_percent: gauge(
    "node_bcache_cache_available_percent",
    "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
  ),
  congested: gauge("node_bcache_congested", "Congestion."),
  root_usage_percent: gauge(
    "node_bcache_root_usage_percent",
    "Percentage of the root btree node in use (tree depth increases if too high).",
  ),
  tree_depth: gauge("node_bcache_tree_depth", "Depth of the btree."),
  "internal/active_journal_entries": gauge(
    "node_bcache_active_journal_entries",
    "Number of journal entries that are newer than the index.",
  ),
  "internal/btree_nodes": gauge("node_bcache_btree_nodes", "Total nodes in the btree."),
  "internal/cache_read_races": counter(
    "node_bcache_cache_read_races_total",
    "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
  ),
};
const btreeRead = gauge("node_bcache_btree_read_average_duration_seconds", "Average btree read duration.");

const ofBackingDevice: Table = {
  dirty_data: gauge("node_bcache_dirty_data_bytes", "Amount of dirty data for this backing device in the cache."),
  "stats_total/bypassed": counter(
    "node_bcache_bypassed_bytes_total",
    "Amount of IO (both reads and writes) that has bypassed the cache.",
  ),
  "stats_total/cache_hits": counter(
    "node_bcache_cache_hits_total",
    "Hits counted per individual IO as bcache sees them.",
  ),
  "stats_total/cache_misses": counter(
    "node_bcache_cache_misses_total",
    "Misses counted per individual IO as bcache sees them.",
  ),
  "stats_total/cache_bypass_hits": counter(
    "node_bcache_cache_bypass_hits_total",
    "Hits for IO intended to skip the cache.",
  ),
  "stats_total/cache_bypass_misses": counter(
    "node_bcache_cache_bypass_misses_total",
    "Misses for IO intended to skip the cache.",
  ),
  "stats_total/cache_miss_collisions": counter(
    "node_bcache_cache_miss_collisions_total",
    "Instances where data insertion from cache miss raced with write (data already present).",
  ),
};
const readaheads = counter("node_bcache_cache_readaheads_total", "Count of times readahead occurred.");

/** By line of writeback_rate_debug. */
const ofWriteback: Table = {
  rate: gauge("node_bcache_writeback_rate", "Current writeback rate for this backing device in bytes."),
  target: gauge(
    "node_bcache_dirty_target_bytes",
    "Current dirty data target threshold for this backing device in bytes.",
  ),
  proportional: gauge(
    "node_bcache_writeback_rate_proportional_term",
    "Current result of proportional controller, part of writeback rate",
  ),
  integral: gauge(
    "node_bcache_writeback_rate_integral_term",
    "Current result of integral controller, part of writeback rate",
  ),
  change: gauge("node_bcache_writeback_change", "Last writeback rate change step for this backing device."),
};

const ofCacheDevice: Table = {
  io_errors: gauge("node_bcache_io_errors", "Number of errors that have occurred, decayed by io_error_halflife."),
  metadata_written: counter(
    "node_bcache_metadata_written_bytes_total",
    "Sum of all non data writes (btree writes and all other metadata).",
  ),
  written: counter("node_bcache_written_bytes_total", "Sum of all data that has been written to the cache."),
};

/** By line of priority_stats. */
const ofPriorities: Table = {
  Unused: gauge(
    "node_bcache_priority_stats_unused_percent",
    "The percentage of the cache that doesn't contain any data.",
  ),
  Metadata: gauge("node_bcache_priority_stats_metadata_percent", "Bcache's metadata overhead."),
};

export const bcache = defineCollector({
  name: "bcache",
  description: "bcache sets, backing devices and cache devices from /sys/fs/bcache.",
  enabledByDefault: true,
  options: Type.Object(
    {
      priority_stats: Type.Boolean({
        default: false,
        flag: "collector.bcache.priorityStats",
        description: "Read priority_stats too, for which the kernel walks all buckets of the cache.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ priority_stats }) => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/fs/bcache`;
      for (const uuid of listIfPresent(folder).filter((entry) => entry.includes("-"))) {
        addSet(host, families, uuid, `${folder}/${uuid}`, priority_stats);
      }
      return families.list();
    },
  }),
});

function addSet(host: Host, families: FamilySet, uuid: string, path: string, priorityStats: boolean): void {
  addTable(host, families, ofSet, { uuid }, path);
  // node_exporter takes the microseconds for nanoseconds; kept, as the dashboards that show this have made up for it.
  const microseconds = readHuman(host, `${path}/internal/btree_read_average_duration_us`);
  families.add(btreeRead, { uuid }, microseconds === undefined ? undefined : microseconds * 1e-9);
  for (const entry of listIfPresent(path)) {
    const member = `${path}/${entry}`;
    if (/^bdev\d/.test(entry)) {
      const labels = { uuid, backing_device: entry };
      addTable(host, families, ofBackingDevice, labels, member);
      // Gone since Linux 5.13, and only worth a series where readahead happens.
      families.add(readaheads, labels, readHuman(host, `${member}/stats_total/cache_readaheads`) || undefined);
      addLines(host, families, ofWriteback, labels, `${member}/writeback_rate_debug`);
    } else if (/^cache\d/.test(entry)) {
      const labels = { uuid, cache_device: entry };
      addTable(host, families, ofCacheDevice, labels, member);
      if (priorityStats) addLines(host, families, ofPriorities, labels, `${member}/priority_stats`);
    }
  }
}

function addTable(host: Host, families: FamilySet, table: Table, labels: Labels, path: string): void {
  for (const [attribute, family] of Object.entries(table)) {
    families.add(family, labels, readHuman(host, `${path}/${attribute}`));
  }
}

/** Lines such as "rate:  1.1M/sec" and "Unused:  99%". */
function addLines(host: Host, families: FamilySet, table: Table, labels: Labels, path: string): void {
  for (const line of (readAttribute(host, path) ?? "").split("\n")) {
    const [, word = "", text = ""] = /^(\w+):\s*(\S+?)(?:\/sec|%)?\s*$/.exec(line) ?? [];
    const family = table[word];
    if (family === undefined) continue;
    const value = parseHuman(text);
    if (value === undefined) host.skipped(path, new Error(`unexpected line: ${line}`));
    families.add(family, labels, value);
  }
}

function readHuman(host: Host, path: string): number | undefined {
  const text = readAttribute(host, path);
  if (text === undefined) return undefined;
  const value = parseHuman(text.trim());
  if (value === undefined) host.skipped(path, new Error(`not a size: ${text}`));
  return value;
}

/**
 * bch_hprint() of the kernel prints 100/1024ths after the point, without a leading zero: "1.10k" is more than "1.9k".
 * Whole bytes, towards zero.
 */
export function parseHuman(text: string): number | undefined {
  const [, sign, whole, fraction = "0", unit = ""] = /^(-?)(\d+)(?:\.(\d+))?([kMGTPEZY]?)$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const magnitude = unit === "" ? Number(`${whole}.${fraction}`) : Number(whole) + Number(fraction) / 10.24;
  const bytes = Math.trunc(magnitude * 1024 ** " kMGTPEZY".indexOf(unit || " "));
  return sign === "-" && bytes !== 0 ? -bytes : bytes;
}
