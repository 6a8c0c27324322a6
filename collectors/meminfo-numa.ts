import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute } from "./read.ts";

/** Memory of each NUMA node; unlike meminfo's, these names have no unit, though the values are bytes. */
export const meminfoNuma = defineCollector({
  name: "meminfo_numa",
  description: "Memory statistics and allocations per NUMA node from /sys/devices/system/node.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const root = `${host.sysPath}/devices/system/node`;
      for (const folder of listIfPresent(root).filter((name) => /^node[0-9]+$/.test(name))) {
        const node = folder.slice(4);
        const read = (file: string): string => readAttribute(host, `${root}/${folder}/${file}`) ?? "";
        addNodeMeminfo(out, read("meminfo"), { node, host });
        addNumastat(out, read("numastat"), { node, host });
      }
      return out.list();
    },
  }),
});

interface Node {
  readonly node: string;
  readonly host: Pick<Host, "skipped">;
}

/** `Node 0 Active(anon):  707915 kB` */
export function addNodeMeminfo(out: FamilySet, text: string, { node, host }: Node): void {
  for (const line of splitLines(text)) {
    const [, , key = "", amount, unit] = splitFields(line);
    const field = key.replace(/:$/, "").replace("(", "_").replace(")", "");
    try {
      if (unit !== undefined && unit !== "kB") throw new Error(`unknown unit ${unit}`);
      const value = parseNumber(amount) * (unit === undefined ? 1 : 1024);
      out.gauge(`node_memory_numa_${toMetricName(field)}`, `Memory information field ${field}.`, value, { node });
    } catch (error) {
      host.skipped(`${field} in meminfo of node ${node}`, error);
    }
  }
}

/** `numa_hit 193460335812` */
export function addNumastat(out: FamilySet, text: string, { node, host }: Node): void {
  for (const line of splitLines(text)) {
    const [field = "", value] = splitFields(line);
    try {
      const name = `${field}_total`;
      out.counter(`node_memory_numa_${toMetricName(name)}`, `Memory information field ${name}.`, parseNumber(value), {
        node,
      });
    } catch (error) {
      host.skipped(`${field} in numastat of node ${node}`, error);
    }
  }
}
