import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { readText } from "./read.ts";

/** /proc/loadavg, see proc_loadavg(5): three averages, then running/total tasks and the newest pid. */
export const loadavg = defineCollector({
  name: "loadavg",
  description: "Load averages over 1, 5 and 15 minutes from /proc/loadavg.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async ({ procPath }) => parseLoadavg(readText(`${procPath}/loadavg`)),
  }),
});

export function parseLoadavg(text: string): MetricFamily[] {
  const values = text.trim().split(" ").slice(0, 3).map(Number);
  if (values.length < 3 || values.some(Number.isNaN)) throw new Error(`unexpected content in loadavg: ${text.trim()}`);
  return [1, 5, 15].map((minutes, index) => ({
    name: `node_load${minutes}`,
    help: `${minutes}m load average.`,
    type: "gauge",
    samples: [{ labels: {}, value: values[index] ?? Number.NaN }],
  }));
}
