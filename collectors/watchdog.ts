import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listAttributes, listIfPresent, readAttribute, readNumber } from "./read.ts";

const valueOf = (attribute: string, name = attribute): FamilyHead =>
  gauge(`node_watchdog_${name}`, `Value of /sys/class/watchdog/<watchdog>/${attribute}`);

const numbers: Readonly<Record<string, FamilyHead>> = {
  access_cs0: valueOf("access_cs0"),
  bootstatus: valueOf("bootstatus"),
  fw_version: valueOf("fw_version"),
  nowayout: valueOf("nowayout"),
  pretimeout: valueOf("pretimeout", "pretimeout_seconds"),
  timeleft: valueOf("timeleft", "timeleft_seconds"),
  timeout: valueOf("timeout", "timeout_seconds"),
};
const info = gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>");
const labelAttributes = ["options", "identity", "state", "status", "pretimeout_governor"] as const;

export const watchdog = defineCollector({
  name: "watchdog",
  description: "Hardware and software watchdogs from /sys/class/watchdog.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/class/watchdog`, "no watchdog"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/class/watchdog`;
      for (const name of listIfPresent(folder)) addWatchdog(host, families, name, `${folder}/${name}`);
      return families.list();
    },
  }),
});

function addWatchdog(host: Host, families: FamilySet, name: string, path: string): void {
  const present = new Set(listAttributes(path));
  for (const [attribute, family] of Object.entries(numbers)) {
    if (present.has(attribute)) families.add(family, { name }, readNumber(host, `${path}/${attribute}`));
  }
  const labels: Record<string, string> = { name };
  for (const attribute of labelAttributes) {
    const value = present.has(attribute) ? readAttribute(host, `${path}/${attribute}`) : undefined;
    labels[attribute] = value?.trim() ?? "";
  }
  families.add(info, labels, 1);
}
