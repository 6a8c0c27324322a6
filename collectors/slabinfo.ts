import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Kernel object caches, slabinfo(5). Only root may read the file. */
export const slabinfo = defineCollector({
  name: "slabinfo",
  description: "Kernel object caches from /proc/slabinfo.",
  enabledByDefault: false,
  options: Type.Object(
    {
      slabs_include: Type.String({
        default: ".*",
        flag: "collector.slabinfo.slabs-include",
        description: "Regexp of the slabs to publish.",
      }),
      slabs_exclude: Type.String({
        default: "",
        flag: "collector.slabinfo.slabs-exclude",
        description: "Regexp of the slabs to leave out of these.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ slabs_include: include, slabs_exclude: exclude }) => {
    const keep = createDeviceFilter({ flag: "collector.slabinfo.slabs", include, exclude });
    return {
      collect: async (host) => parseSlabinfo(readText(`${host.procPath}/slabinfo`), { keep, host }),
    };
  },
});

/** The columns behind the name. */
const columns = [
  ["active_objects", "The number of objects that are currently active (i.e., in use)."],
  ["objects", "The total number of allocated objects (i.e., objects that are both in use and not in use)."],
  ["object_size_bytes", "The size of objects in this slab, in bytes."],
  ["objects_per_slab", "The number of objects stored in each slab."],
  ["pages_per_slab", "The number of pages allocated for each slab."],
] as const;

interface Reading {
  readonly keep: (slab: string) => boolean;
  readonly host: Pick<Host, "skipped">;
}

export function parseSlabinfo(text: string, { keep, host }: Reading): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    if (line.startsWith("slabinfo - ") || line.startsWith("#")) continue;
    const [slab = "", ...values] = splitFields(line);
    if (!keep(slab)) continue;
    try {
      const numbers = values.slice(0, columns.length).map(parseNumber);
      for (const [index, [name, help]] of columns.entries()) {
        out.gauge(`node_slabinfo_${name}`, help, numbers[index], { slab });
      }
    } catch (error) {
      host.skipped(`${slab} in slabinfo`, error);
    }
  }
  return out.list();
}
