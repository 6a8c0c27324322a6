import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** Controllers that the kernel has, cgroups(7): name, hierarchy, number of cgroups, enabled. */
export const cgroups = defineCollector({
  name: "cgroups",
  description: "Number of cgroups per controller from /proc/cgroups.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => parseCgroups(readText(`${host.procPath}/cgroups`), host),
  }),
});

export function parseCgroups(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of splitLines(text)) {
    if (line.startsWith("#")) continue;
    const [subsys_name = "", , count, enabled] = splitFields(line);
    // Both families have the same help text in node_exporter.
    const help = "Current cgroup number of the subsystem.";
    try {
      out.gauge("node_cgroups_cgroups", help, parseNumber(count), { subsys_name });
      out.gauge("node_cgroups_enabled", help, parseNumber(enabled), { subsys_name });
    } catch (error) {
      host.skipped(`${subsys_name} in cgroups`, error);
    }
  }
  return out.list();
}
