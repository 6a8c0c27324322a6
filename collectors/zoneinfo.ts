import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Memory zones, /proc/zoneinfo. What counts for a whole node stands under its first zone and is published there. */
export const zoneinfo = defineCollector({
  name: "zoneinfo",
  description: "Pages and allocations per memory zone from /proc/zoneinfo.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseZoneinfo(readText(`${host.procPath}/zoneinfo`), host),
  }),
});

/** By the kernel's name: type, published name and help. */
const fields = new Map<string, readonly [type: "gauge" | "counter", name: string, help: string]>([
  ["nr_free_pages", ["gauge", "nr_free_pages", "Total number of free pages in the zone"]],
  ["min", ["gauge", "min_pages", "Zone watermark pages_min"]],
  ["low", ["gauge", "low_pages", "Zone watermark pages_low"]],
  ["high", ["gauge", "high_pages", "Zone watermark pages_high"]],
  ["scanned", ["gauge", "scanned_pages", "Pages scanned since last reclaim"]],
  ["spanned", ["gauge", "spanned_pages", "Total pages spanned by the zone, including holes"]],
  ["present", ["gauge", "present_pages", "Physical pages existing within the zone"]],
  ["managed", ["gauge", "managed_pages", "Present pages managed by the buddy system"]],
  ["nr_active_anon", ["gauge", "nr_active_anon_pages", "Number of anonymous pages recently more used"]],
  ["nr_inactive_anon", ["gauge", "nr_inactive_anon_pages", "Number of anonymous pages recently less used"]],
  ["nr_isolated_anon", ["gauge", "nr_isolated_anon_pages", "Temporary isolated pages from anon lru"]],
  ["nr_anon_pages", ["gauge", "nr_anon_pages", "Number of anonymous pages currently used by the system"]],
  [
    "nr_anon_transparent_hugepages",
    [
      "gauge",
      "nr_anon_transparent_hugepages",
      "Number of anonymous transparent huge pages currently used by the system",
    ],
  ],
  ["nr_active_file", ["gauge", "nr_active_file_pages", "Number of active pages with file-backing"]],
  ["nr_inactive_file", ["gauge", "nr_inactive_file_pages", "Number of inactive pages with file-backing"]],
  ["nr_isolated_file", ["gauge", "nr_isolated_file_pages", "Temporary isolated pages from file lru"]],
  ["nr_file_pages", ["gauge", "nr_file_pages", "Number of file pages"]],
  ["nr_slab_reclaimable", ["gauge", "nr_slab_reclaimable_pages", "Number of reclaimable slab pages"]],
  ["nr_slab_unreclaimable", ["gauge", "nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages"]],
  ["nr_mlock_stack", ["gauge", "nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU"]],
  ["nr_kernel_stack", ["gauge", "nr_kernel_stacks", "Number of kernel stacks"]],
  ["nr_mapped", ["gauge", "nr_mapped_pages", "Number of mapped pages"]],
  ["nr_dirty", ["gauge", "nr_dirty_pages", "Number of dirty pages"]],
  ["nr_writeback", ["gauge", "nr_writeback_pages", "Number of writeback pages"]],
  ["nr_unevictable", ["gauge", "nr_unevictable_pages", "Number of unevictable pages"]],
  ["nr_shmem", ["gauge", "nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)"]],
  ["nr_dirtied", ["counter", "nr_dirtied_total", "Page dirtyings since bootup"]],
  ["nr_written", ["counter", "nr_written_total", "Page writings since bootup"]],
  ["numa_hit", ["counter", "numa_hit_total", "Allocated in intended node"]],
  ["numa_miss", ["counter", "numa_miss_total", "Allocated in non intended node"]],
  ["numa_foreign", ["counter", "numa_foreign_total", "Was intended here, hit elsewhere"]],
  ["numa_interleave", ["counter", "numa_interleave_total", "Interleaver preferred this zone"]],
  ["numa_local", ["counter", "numa_local_total", "Allocation from local node"]],
  ["numa_other", ["counter", "numa_other_total", "Allocation from other node"]],
]);

/** "Node 0, zone      DMA" */
function parseZone(line: string): { node: string; zone: string } | undefined {
  const [, node, zone] = /^Node (\d+), zone\s+(\S+)/.exec(line) ?? [];
  return node === undefined || zone === undefined ? undefined : { node, zone };
}

export function parseZoneinfo(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  let labels: { node: string; zone: string } | undefined;
  for (const line of text.split("\n")) {
    const words = splitFields(line);
    const [key = "", value] = words;
    // A zone whose first line cannot be read must not be taken for the one above it.
    if (/^\S/.test(line)) labels = parseZone(line);
    if (labels === undefined) continue;
    try {
      if (key === "protection:") {
        for (const [index, pages] of line
          .replace(/.*\(|\).*/g, "")
          .split(", ")
          .entries()) {
          const help = `Protection array ${index}. field`;
          out.gauge(`node_zoneinfo_protection_${index}`, help, parseNumber(pages), labels);
        }
      }
      const field = fields.get(key);
      if (field !== undefined) out[field[0]](`node_zoneinfo_${field[1]}`, field[2], parseNumber(value), labels);
    } catch (error) {
      host.skipped(`${key} in zoneinfo`, error);
    }
  }
  return out.list();
}
