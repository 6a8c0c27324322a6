import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { detectPath, readText } from "./read.ts";

const size = gauge("node_swap_size_bytes", "Swap device size in bytes.");
const used = gauge("node_swap_used_bytes", "Swap device used in bytes.");
const priority = gauge("node_swap_priority", "Swap device priority.");

/** /proc/swaps: a heading, then device or file, type, size and use in KiB, priority. */
export const swap = defineCollector({
  name: "swap",
  description: "Size, use and priority of each swap device from /proc/swaps.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ procPath }) => detectPath(`${procPath}/swaps`, "a kernel without swap"),
    collect: async (host) => parseSwaps(readText(`${host.procPath}/swaps`), host),
  }),
});

function parseSwaps(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const families = createFamilySet();
  for (const line of splitLines(text).slice(1)) {
    const [device = "", swap_type = "", ...values] = splitFields(line);
    try {
      const [sizeKib = Number.NaN, usedKib = Number.NaN, order = Number.NaN] = values.slice(0, 3).map(parseNumber);
      if (Number.isNaN(order)) throw new Error("too few fields");
      families.add(size, { device, swap_type }, sizeKib * 1024);
      families.add(used, { device, swap_type }, usedKib * 1024);
      families.add(priority, { device, swap_type }, order);
    } catch (error) {
      host.skipped(`${device} in swaps`, error);
    }
  }
  return families.list();
}
