import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Free memory blocks by size: `Node 0, zone DMA 1 0 1 …`, one count per order. */
export const buddyinfo = defineCollector({
  name: "buddyinfo",
  description: "Free memory blocks by size, node and zone from /proc/buddyinfo.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseBuddyinfo(readText(`${host.procPath}/buddyinfo`), host),
  }),
});

export function parseBuddyinfo(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    const [, node = "", , zone = "", ...counts] = splitFields(line);
    const place = { node: node.replace(/,$/, ""), zone: zone.replace(/,$/, "") };
    try {
      for (const [order, count] of counts.entries()) {
        const help = "Count of free blocks according to size.";
        out.gauge("node_buddyinfo_blocks", help, parseNumber(count), { ...place, size: String(order) });
      }
    } catch (error) {
      host.skipped(`node ${place.node} zone ${place.zone} in buddyinfo`, error);
    }
  }
  return out.list();
}
