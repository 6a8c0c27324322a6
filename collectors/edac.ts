import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { listAttributes, listIfPresent, readAttribute, readNumber } from "./read.ts";

const errors = (level: string, where: string): { correctable: FamilyHead; uncorrectable: FamilyHead } => ({
  correctable: counter(`node_edac_${level}correctable_errors_total`, `Total correctable memory errors${where}.`),
  uncorrectable: counter(`node_edac_${level}uncorrectable_errors_total`, `Total uncorrectable memory errors${where}.`),
});
const ofController = errors("", "");
const ofCsrow = errors("csrow_", " for this csrow");
const ofChannel = errors("channel_", " for this channel");

/** Memory controllers, their chip-select rows and channels: Documentation/admin-guide/ras.rst of the kernel. */
export const edac = defineCollector({
  name: "edac",
  description: "Memory errors counted by the EDAC drivers, from /sys/devices/system/edac.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({ collect: async (host) => collectControllers(host) }),
});

function collectControllers(host: Host): MetricFamily[] {
  const families = createFamilySet();
  const folder = `${host.sysPath}/devices/system/edac/mc`;
  for (const entry of listIfPresent(folder)) {
    const controller = /^mc(\d+)$/.exec(entry)?.[1];
    if (controller === undefined) continue;
    const path = `${folder}/${entry}`;
    addPair(host, families, ofController, { controller }, `${path}/`, "count");
    addPair(host, families, ofCsrow, { controller, csrow: "unknown" }, `${path}/`, "noinfo_count");
    for (const name of listAttributes(path)) {
      const csrow = /^csrow(\d+)$/.exec(name)?.[1];
      if (csrow !== undefined) addCsrow(host, families, { controller, csrow }, `${path}/${name}`);
    }
  }
  return families.list();
}

function addCsrow(host: Host, families: FamilySet, labels: Labels, path: string): void {
  addPair(host, families, ofCsrow, labels, `${path}/`, "count");
  for (const name of listAttributes(path)) {
    const channel = /^ch(\d+)_ce_count$/.exec(name)?.[1];
    if (channel === undefined) continue;
    const dimmLabel = toDimmLabel(readAttribute(host, `${path}/ch${channel}_dimm_label`));
    addPair(host, families, ofChannel, { ...labels, channel, dimm_label: dimmLabel }, `${path}/ch${channel}_`, "count");
  }
}

function addPair(
  host: Host,
  families: FamilySet,
  pair: typeof ofController,
  labels: Labels,
  prefix: string,
  suffix: string,
): void {
  families.add(pair.correctable, labels, readNumber(host, `${prefix}ce_${suffix}`));
  families.add(pair.uncorrectable, labels, readNumber(host, `${prefix}ue_${suffix}`));
}

/** "CPU_SrcID#0_MC#0_Chan#0_DIMM#0" is published without the number signs, "mc#0csrow#1channel#0" as mc0_csrow1_channel0. */
export function toDimmLabel(text: string | undefined): string {
  if (text === undefined) return "unknown";
  return text.trim().replaceAll("#", "").replaceAll("csrow", "_csrow").replaceAll("channel", "_channel");
}
