import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseCpuHeader, parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Soft interrupts per CPU and vector from /proc/softirqs. */
export const softirqs = defineCollector({
  name: "softirqs",
  description: "Soft interrupts per CPU and vector from /proc/softirqs.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseSoftirqs(readText(`${host.procPath}/softirqs`), host),
  }),
});

const vectors = new Set("HI TIMER NET_TX NET_RX BLOCK IRQ_POLL TASKLET SCHED HRTIMER RCU".split(" "));

/** A header of CPU names, then `VECTOR: count per CPU`. */
export function parseSoftirqs(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  const [header = "", ...lines] = text.split("\n");
  const cpus = parseCpuHeader(header);
  for (const line of lines) {
    const [name = "", ...counts] = splitFields(line);
    const type = name.replace(/:$/, "");
    if (!vectors.has(type)) continue;
    try {
      for (const [index, count] of counts.entries()) {
        const labels = { cpu: cpus[index] ?? String(index), type };
        out.counter("node_softirqs_functions_total", "Softirq counts per CPU.", parseNumber(count), labels);
      }
    } catch (error) {
      host.skipped(`${type} in softirqs`, error);
    }
  }
  return out.list();
}
