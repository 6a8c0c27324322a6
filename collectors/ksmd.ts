import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { readNumber } from "./read.ts";

/** Kernel samepage merging, Documentation/admin-guide/mm/ksm.rst. */
export const ksmd = defineCollector({
  name: "ksmd",
  description: "Kernel samepage merging from /sys/kernel/mm/ksm.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      for (const [file, type, name, help] of files) {
        const value = readNumber(host, `${host.sysPath}/kernel/mm/ksm/${file}`);
        const seconds = file === "sleep_millisecs" && value !== undefined ? value / 1000 : value;
        out[type](`node_ksmd_${name}`, help, seconds);
      }
      return out.list();
    },
  }),
});

const files = [
  ["full_scans", "counter", "full_scans_total", "How many times all mergeable areas have been scanned."],
  [
    "general_profit",
    "gauge",
    "general_profit_bytes",
    "How effective is KSM. ksm_saved_pages * sizeof(page) - (all_rmap_items) * sizeof(rmap_item)",
  ],
  ["merge_across_nodes", "gauge", "merge_across_nodes", "Specifies if pages from different NUMA nodes can be merged."],
  ["pages_shared", "gauge", "pages_shared", "How many shared pages are being used."],
  ["pages_sharing", "gauge", "pages_sharing", "How many more sites are sharing them i.e. how much saved."],
  ["pages_to_scan", "gauge", "pages_to_scan", "How many pages to scan before ksmd goes to sleep."],
  ["pages_unshared", "gauge", "pages_unshared", "How many pages unique but repeatedly checked for merging."],
  ["pages_volatile", "gauge", "pages_volatile", "How many pages changing too fast to be placed in a tree."],
  ["run", "gauge", "run", "The status of ksmd. stopped = 0, running = 1"],
  ["sleep_millisecs", "gauge", "sleep_seconds", "How many seconds ksmd should sleep before next scan."],
] as const;
