import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilyHead, gauge } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";
import { remember } from "./remember.ts";

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

interface Field {
  readonly family: FamilyHead;
  /** Numbers of huge pages, not bytes. */
  readonly isCount: boolean;
}

/** Undefined for what is no name. */
const toField = remember((key): Field | undefined => {
  const field = key.slice(0, -1).replace("(", "_").replace(")", "");
  if (!/^[A-Za-z]\w*$/.test(field)) return undefined;
  const isCount = field.startsWith("HugePages_");
  const name = isCount ? field : `${field}_bytes`;
  return { family: gauge(`node_memory_${name}`, `Memory information field ${name}.`), isCount };
});

/** Every field of the kernel, as node_exporter published them up to 1.8; later releases leave some out. */
export function parseMeminfo(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    const [key = "", amount, unit] = splitFields(line);
    const field = toField(key);
    if (field === undefined) continue;
    try {
      if (unit !== undefined && unit !== "kB") throw new Error(`unknown unit ${unit}`);
      out.add(field.family, {}, parseNumber(amount) * (unit === undefined || field.isCount ? 1 : 1024));
    } catch (error) {
      host.skipped(`${key.slice(0, -1)} in meminfo`, error);
    }
  }
  return out.list();
}
