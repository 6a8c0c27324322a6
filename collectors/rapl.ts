import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, readAttribute, readNumber } from "./read.ts";

const joules = counter("node_rapl_joules_total", "Current RAPL value in joules");

/**
 * Energy counters of the power capping framework. Since the fix for PLATYPUS (CVE-2020-8694) only root may read them;
 * the source counts as absent when none can be read.
 */
export const rapl = defineCollector({
  name: "rapl",
  description: "Energy used by packages, cores and memory, from /sys/class/powercap.",
  enabledByDefault: true,
  options: Type.Object(
    {
      enable_zone_label: Type.Boolean({
        default: false,
        flag: "collector.rapl.enable-zone-label",
        description: "Publish node_rapl_joules_total with the zone as a label instead of one family per zone.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ enable_zone_label }) => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/class/powercap`, "no power capping framework"),
    collect: async (host) => collectZones(host, enable_zone_label),
  }),
});

function collectZones(host: Host, asLabel: boolean): MetricFamily[] {
  const families = createFamilySet();
  const folder = `${host.sysPath}/class/powercap`;
  const used = new Map<string, number>();
  let unreadable = 0;
  for (const entry of listIfPresent(folder)) {
    const path = `${folder}/${entry}`;
    const name = readAttribute(host, `${path}/name`)?.trim();
    if (name === undefined) continue;
    const { zone, index } = splitZoneName(name, used);
    const microjoules = readNumber(host, `${path}/energy_uj`);
    if (microjoules === undefined) unreadable += 1;
    else addZone(families, { zone, index, path }, microjoules / 1e6, asLabel);
  }
  const list = families.list();
  if (unreadable > 0 && list.length === 0) throw new NoDataError("no energy counter can be read");
  return list;
}

/** "package-1" names its index; further zones with the same plain name ("dram") are counted up. */
export function splitZoneName(name: string, used: Map<string, number>): { zone: string; index: number } {
  const [, plain = name, number] = /^([^-]*)-(\d+)$/.exec(name) ?? [];
  const index = number === undefined ? (used.get(plain) ?? 0) : Number(number);
  used.set(plain, index + 1);
  return { zone: plain, index };
}

function addZone(
  families: FamilySet,
  { zone, index, path }: { zone: string; index: number; path: string },
  value: number,
  asLabel: boolean,
): void {
  const labels = { index: String(index), path };
  if (asLabel) return families.add(joules, { ...labels, rapl_zone: zone }, value);
  const family = counter(
    `node_rapl_${zone.replace(/[^a-zA-Z0-9_]/g, "_")}_joules_total`,
    `Current RAPL ${zone} value in joules`,
  );
  families.add(family, labels, value);
}
