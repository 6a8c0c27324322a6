import { Type } from "@sinclair/typebox";
import { type BtrfsDevice, readBtrfsDevices } from "./btrfs-devices.ts";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listIfPresent, parseDecimal, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_btrfs_info", "Filesystem information");
const globalReserve = gauge("node_btrfs_global_rsv_size_bytes", "Size of global reserve.");
const commits = counter("node_btrfs_commits_total", "The total number of commits that have occurred.");
const lastCommit = gauge("node_btrfs_last_commit_seconds", "Duration of the most recent commit, in seconds.");
const maxCommit = gauge("node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds.");
const commitTime = counter("node_btrfs_commit_seconds_total", "Sum of the duration of all commits, in seconds.");
const reserved = gauge("node_btrfs_reserved_bytes", "Amount of space reserved for a data type");
const used = gauge("node_btrfs_used_bytes", "Amount of used space by a layout/data type");
const size = gauge("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type");
const ratio = gauge("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type");
const deviceSize = gauge("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.");
const deviceUnused = gauge(
  "node_btrfs_device_unused_bytes",
  "Unused bytes unused on a device that is part of the filesystem.",
);
const deviceErrors = counter("node_btrfs_device_errors_total", "Errors reported for the device");

/** Bytes on the devices for each byte stored, by profile and number of devices. */
const allocationRatios: Readonly<Record<string, (devices: number) => number>> = {
  single: () => 1,
  raid0: () => 1,
  dup: () => 2,
  raid1: () => 2,
  raid10: () => 2,
  raid1c3: () => 3,
  raid1c4: () => 4,
  raid5: (devices) => devices / (devices - 1),
  raid6: (devices) => devices / (devices - 2),
};

export const btrfs = defineCollector({
  name: "btrfs",
  description: "Btrfs space, commits and device errors from /sys/fs/btrfs and, where allowed, by ioctl.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/fs/btrfs`;
      const mounted = listIfPresent(folder).filter((entry) => entry.includes("-"));
      const devices = mounted.length === 0 ? new Map<string, BtrfsDevice[]>() : readBtrfsDevices(host);
      for (const entry of mounted) addFilesystem(host, families, entry, `${folder}/${entry}`, devices);
      return families.list();
    },
  }),
});

function addFilesystem(
  host: Host,
  families: FamilySet,
  entry: string,
  path: string,
  byFilesystem: ReadonlyMap<string, readonly BtrfsDevice[]>,
): void {
  const uuid = readAttribute(host, `${path}/metadata_uuid`)?.trim() || entry;
  const members = listIfPresent(`${path}/devices`);
  families.add(info, { uuid, label: readAttribute(host, `${path}/label`)?.trim() ?? "" }, 1);
  families.add(globalReserve, { uuid }, readNumber(host, `${path}/allocation/global_rsv_size`));
  addCommits(host, families, uuid, path);
  for (const type of ["data", "metadata", "system"]) {
    addAllocation(host, families, { uuid, block_group_type: type }, `${path}/allocation/${type}`, members.length);
  }
  const devices = byFilesystem.get(uuid.replaceAll("-", ""));
  if (devices !== undefined) return addDevices(families, uuid, devices);
  for (const device of members) {
    const sectors = readNumber(host, `${path}/devices/${device}/size`);
    families.add(deviceSize, { uuid, device }, sectors === undefined ? undefined : sectors * 512);
  }
}

/** Lines "commits 3", "last_commit_ms 1". Before Linux 6.0 there is no such file, which node_exporter publishes as 0. */
function addCommits(host: Host, families: FamilySet, uuid: string, path: string): void {
  const missing = !listIfPresent(path).includes("commit_stats");
  const text = missing ? "" : (readAttribute(host, `${path}/commit_stats`) ?? "");
  const read = (name: string): number | undefined =>
    missing ? 0 : parseDecimal(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1] ?? "");
  const seconds = (name: string): number | undefined => {
    const milliseconds = read(name);
    return milliseconds === undefined ? undefined : milliseconds / 1000;
  };
  families.add(commits, { uuid }, read("commits"));
  families.add(lastCommit, { uuid }, seconds("last_commit_ms"));
  families.add(maxCommit, { uuid }, seconds("max_commit_ms"));
  families.add(commitTime, { uuid }, seconds("total_commit_ms"));
}

function addAllocation(
  host: Host,
  families: FamilySet,
  labels: { readonly uuid: string; readonly block_group_type: string },
  path: string,
  devices: number,
): void {
  families.add(reserved, labels, readNumber(host, `${path}/bytes_reserved`));
  for (const mode of listIfPresent(path)) {
    const ratioOf = allocationRatios[mode];
    if (ratioOf === undefined) continue;
    families.add(used, { ...labels, mode }, readNumber(host, `${path}/${mode}/used_bytes`));
    families.add(size, { ...labels, mode }, readNumber(host, `${path}/${mode}/total_bytes`));
    families.add(ratio, { ...labels, mode }, ratioOf(devices));
  }
}

function addDevices(families: FamilySet, uuid: string, devices: readonly BtrfsDevice[]): void {
  for (const { device, deviceUuid, totalBytes, usedBytes, errors } of devices) {
    const labels = { uuid, device, btrfs_dev_uuid: deviceUuid };
    families.add(deviceSize, labels, totalBytes);
    families.add(deviceUnused, labels, totalBytes - usedBytes);
    for (const [type, count] of Object.entries(errors)) families.add(deviceErrors, { ...labels, type }, count);
  }
}
