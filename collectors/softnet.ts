import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Packet processing per CPU: net/core/net-procfs.c, one line of hexadecimal numbers per online CPU. */
export const softnet = defineCollector({
  name: "softnet",
  description: "Packets processed, dropped and squeezed per CPU from /proc/net/softnet_stat.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseSoftnet(readText(`${host.procPath}/net/softnet_stat`), host),
  }),
});

/** Column, type, name and help. The later columns came with Linux 2.6.39, 3.11 and 5.14. */
const columns = [
  [0, "counter", "processed_total", "Number of processed packets"],
  [1, "counter", "dropped_total", "Number of dropped packets"],
  [2, "counter", "times_squeezed_total", "Number of times processing packets ran out of quota"],
  [8, "counter", "cpu_collision_total", "Number of collision occur while obtaining device lock while transmitting"],
  [9, "counter", "received_rps_total", "Number of times cpu woken up received_rps"],
  [10, "counter", "flow_limit_count_total", "Number of times flow limit has been reached"],
  [11, "gauge", "backlog_len", "Softnet backlog status"],
] as const;
const cpuColumn = 12;

export function parseSoftnet(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const [row, line] of splitLines(text).entries()) {
    const values = splitFields(line).map((word) => Number.parseInt(word, 16));
    if (values.length < 9 || values.some(Number.isNaN)) {
      host.skipped(`line ${row + 1} of softnet_stat`, new Error("not at least nine hexadecimal numbers"));
      continue;
    }
    // Older kernels do not say which CPU a line is for. What they do not count is published as 0.
    const cpu = String(values[cpuColumn] ?? row);
    for (const [column, type, name, help] of columns) {
      const known = column < 11 || values.length > cpuColumn;
      out[type](`node_softnet_${name}`, help, known ? (values[column] ?? 0) : 0, { cpu });
    }
  }
  return out.list();
}
