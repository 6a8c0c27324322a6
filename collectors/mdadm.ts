import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { parseMdstat } from "./mdstat.ts";
import { listIfPresent, parseDecimal, readAttribute, readNumber, readTextIfPresent } from "./read.ts";

const state = gauge("node_md_state", "Indicates the state of md-device.");
const disks = gauge("node_md_disks", "Number of active/failed/spare disks of device.");
const disksRequired = gauge("node_md_disks_required", "Total number of disks of device.");
const blocks = gauge("node_md_blocks", "Total number of blocks on device.");
const blocksSynced = gauge("node_md_blocks_synced", "Number of blocks synced on device.");
const raidDisks = gauge("node_md_raid_disks", "Number of raid disks on device.");
const degraded = gauge("node_md_degraded", "Number of degraded disks on device.");

/** The state label and the activity that /proc/mdstat shows for it; a reshape is none of them. */
const stateLabels = {
  active: "active",
  inactive: "inactive",
  recovering: "recovering",
  resync: "resyncing",
  check: "checking",
} as const;

export const mdadm = defineCollector({
  name: "mdadm",
  description: "Linux software RAID from /proc/mdstat and /sys/block/md*/md.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const mdstat = readTextIfPresent(`${host.procPath}/mdstat`);
      if (mdstat === undefined) throw new NoDataError("the md driver is not loaded");
      const families = createFamilySet();
      addMdstat(host, families, mdstat);
      addSysfs(host, families);
      return families.list();
    },
  }),
});

function addMdstat(host: Host, families: FamilySet, mdstat: string): void {
  for (const array of parseMdstat(mdstat, (name, error) => host.skipped(`mdstat ${name}`, error))) {
    const device = array.name;
    for (const [label, activity] of Object.entries(stateLabels)) {
      families.add(state, { device, state: label }, array.activity === activity ? 1 : 0);
    }
    families.add(disks, { device, state: "active" }, array.disksActive);
    families.add(disks, { device, state: "failed" }, array.disksFailed);
    families.add(disks, { device, state: "spare" }, array.disksSpare);
    families.add(disksRequired, { device }, array.disksRequired);
    families.add(blocks, { device }, array.blocks);
    families.add(blocksSynced, { device }, array.blocksSynced);
  }
}

/** See Documentation/admin-guide/md.rst of the kernel. */
function addSysfs(host: Host, families: FamilySet): void {
  const folder = `${host.sysPath}/block`;
  for (const device of listIfPresent(folder).filter((name) => name.startsWith("md"))) {
    const path = `${folder}/${device}/md`;
    const level = readAttribute(host, `${path}/level`)?.trim();
    if (level === undefined) continue;
    if (!["", "container", "imsm", "ddf"].includes(level)) {
      // "11 (10)" while a reshape from 10 to 11 is going on.
      const [current = ""] = (readAttribute(host, `${path}/raid_disks`) ?? "").trim().split(" ");
      families.add(raidDisks, { device }, parseDecimal(current));
    }
    const redundant = ["raid1", "raid4", "raid5", "raid6", "raid10"].includes(level);
    families.add(degraded, { device }, redundant ? readNumber(host, `${path}/degraded`) : 0);
  }
}
