import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { listIfPresent, readAttribute } from "./read.ts";

const info = gauge(
  "node_cpu_vulnerabilities_info",
  "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of the vulnerability. The same state is stored as a string in the label",
);

const states = ["not affected", "vulnerable", "mitigation", "unknown"] as const;

export const cpuVulnerabilities = defineCollector({
  name: "cpu_vulnerabilities",
  description: "State and mitigation of each known CPU vulnerability.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/devices/system/cpu/vulnerabilities`;
      for (const codename of listIfPresent(folder)) {
        const text = readAttribute(host, `${folder}/${codename}`);
        families.add(info, { codename, ...parseVulnerability(text ?? "") }, text === undefined ? undefined : 1);
      }
      return families.list();
    },
  }),
});

/** "Mitigation: Clear CPU buffers; SMT vulnerable". What starts with no known state is unknown, and kept whole. */
export function parseVulnerability(text: string): { state: string; mitigation: string } {
  const words = text.trim().split(/\s+/);
  const known = states.find((state) => text.trim().toLowerCase().startsWith(state));
  if (known === "not affected") return { state: known, mitigation: "" };
  return { state: known ?? "unknown", mitigation: known === undefined ? text.trim() : words.slice(1).join(" ") };
}
