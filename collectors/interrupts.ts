import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet } from "./families.ts";
import { parseCpuHeader, parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Interrupts per CPU and source from /proc/interrupts: off by default, some thousand series on a large machine. */
export const interrupts = defineCollector({
  name: "interrupts",
  description: "Interrupts per CPU and source from /proc/interrupts.",
  enabledByDefault: false,
  options: Type.Object(
    {
      name_include: Type.String({
        default: "",
        flag: "collector.interrupts.name-include",
        description: 'Regexp of the interrupts to publish, as "name;info;devices"; excludes name_exclude.',
      }),
      name_exclude: Type.String({
        default: "",
        flag: "collector.interrupts.name-exclude",
        description: 'Regexp of the interrupts to leave out, as "name;info;devices".',
      }),
      include_zeros: Type.Boolean({
        default: true,
        flag: "collector.interrupts.include-zeros",
        description: "Publish interrupts that never happened.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ name_include: include, name_exclude: exclude, include_zeros: includeZeros }) => {
    const keep = createDeviceFilter({ flag: "collector.interrupts.name", include, exclude });
    return {
      collect: async (host) => parseInterrupts(readText(`${host.procPath}/interrupts`), { keep, includeZeros, host }),
    };
  },
});

interface Reading {
  readonly keep: (name: string) => boolean;
  readonly includeZeros: boolean;
  readonly host: Pick<Host, "skipped">;
}

/** A header of CPU names, then `name: count per CPU, controller and devices`; ERR and MIS have no CPUs and are left out. */
export function parseInterrupts(text: string, { keep, includeZeros, host }: Reading): MetricFamily[] {
  const out = createFamilySet();
  const [header = "", ...lines] = text.split("\n");
  // Only online CPUs have a column, so that its place is not the CPU's number.
  const cpus = parseCpuHeader(header);
  for (const line of lines) {
    // arm64 prints no blank between a long name and the first count.
    const colon = line.indexOf(":");
    const type = line.slice(0, colon).trim();
    const words = splitFields(line.slice(colon + 1));
    if (colon < 0 || words.length <= cpus.length) continue;
    const [first = "", ...rest] = words.slice(cpus.length);
    const numbered = /^[0-9]+$/.test(type);
    const info = numbered ? first : [first, ...rest].join(" ");
    const devices = numbered ? rest.join(" ") : "";
    if (!keep(`${type};${info};${devices}`)) continue;
    try {
      for (const [index, cpu] of cpus.entries()) {
        const count = parseNumber(words[index]);
        if (count === 0 && !includeZeros) continue;
        out.counter("node_interrupts_total", "Interrupt details.", count, { cpu, type, info, devices });
      }
    } catch (error) {
      host.skipped(`${type} in interrupts`, error);
    }
  }
  return out.list();
}
