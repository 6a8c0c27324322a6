import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** /proc/meminfo, see proc_meminfo(5). */
export const meminfo = defineCollector({
  name: "meminfo",
  description: "Memory statistics from /proc/meminfo.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseMeminfo(readText(`${host.procPath}/meminfo`), host),
  }),
});

/** Numbers of huge pages, not bytes. */
const counts = /^HugePages_/;

/** Every field of the kernel, as node_exporter published them up to 1.8; later releases leave some out. */
export function parseMeminfo(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    const [key = "", amount, unit] = splitFields(line);
    const field = key.slice(0, -1).replace("(", "_").replace(")", "");
    if (!/^[A-Za-z]\w*$/.test(field)) continue;
    try {
      if (unit !== undefined && unit !== "kB") throw new Error(`unknown unit ${unit}`);
      const name = counts.test(field) ? field : `${field}_bytes`;
      const value = parseNumber(amount) * (unit === undefined || counts.test(field) ? 1 : 1024);
      out.gauge(`node_memory_${name}`, `Memory information field ${name}.`, value);
    } catch (error) {
      host.skipped(`${field} in meminfo`, error);
    }
  }
  return out.list();
}
