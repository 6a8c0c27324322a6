import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, type MetricType, type Sample } from "./collector.ts";
import type { Host } from "./host.ts";
import { families, type MountStatsFamily } from "./mounts/mountstats-families.ts";
import { type NfsMount, parseMountStats } from "./mounts/mountstats-parse.ts";
import { type Mount, parseMountInfo, unescape } from "./mounts/table.ts";
import { isErrno, readText } from "./read.ts";

/** Per-mount NFS statistics from mountstats: kernel memory only, so a dead server cannot make it hang. */
export const mountstats = defineCollector({
  name: "mountstats",
  description: "NFS statistics of each mount from /proc/1/mountstats.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const { stats, info } = readMounts(host);
      const table = parseMountInfo(info, (error) => host.skipped("a line of mountinfo", error));
      const mounts = parseMountStats(stats, (what, error) => host.skipped(what, error));
      return toFamilies(mounts, table);
    },
  }),
});

// PID 1's table is the host's. Both files must be of one process, as entries are matched by position.
function readMounts({ procPath }: Host): { stats: string; info: string } {
  try {
    return { stats: readText(`${procPath}/1/mountstats`), info: readText(`${procPath}/1/mountinfo`) };
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EACCES", "EPERM")) throw error; // hidepid, or not allowed to ptrace PID 1
    return { stats: readText(`${procPath}/self/mountstats`), info: readText(`${procPath}/self/mountinfo`) };
  }
}

/** Undefined when mountinfo has no such entry: half a name would make other series of the same mount. */
function addressOf({ index, mountPoint }: NfsMount, table: readonly Mount[]): string | undefined {
  const point = unescape(mountPoint);
  const inPlace = table[index];
  // Mounts at one point share its name; a table that lacks a line is matched by name alone.
  const entry = inPlace?.mountPoint === point ? inPlace : table.find((candidate) => candidate.mountPoint === point);
  return entry === undefined ? undefined : (entry.superOptions.get("addr") ?? "");
}

function toFamilies(mounts: readonly NfsMount[], table: readonly Mount[]): MetricFamily[] {
  const samples = new Map<MountStatsFamily, Sample[]>(families.map((family) => [family, []]));
  const seenPoints = new Set<string>();
  const seenDevices = new Set<string>();
  for (const mount of mounts) {
    const mountaddr = addressOf(mount, table);
    if (mountaddr === undefined) continue;
    for (const { protocol } of mount.transports) {
      const labels = { export: mount.device, protocol, mountaddr };
      const device = JSON.stringify(labels);
      // One export mounted twice shares its counters: the mount points are all named, the numbers published once.
      const point = `${device} ${mount.mountPoint}`;
      const newDevice = !seenDevices.has(device);
      for (const [family, list] of samples) {
        if (family.source === "mountpoint") {
          if (!seenPoints.has(point)) list.push({ labels: { ...labels, mountpoint: mount.mountPoint }, value: 1 });
        } else if (newDevice) {
          list.push(...family.read(mount).map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } })));
        }
      }
      seenPoints.add(point);
      if (!newDevice) break;
      seenDevices.add(device);
    }
  }
  return [...samples].map(([{ name, help, type }, list]) => ({
    name: `node_mountstats_nfs_${name}`,
    help,
    type: type satisfies MetricType,
    samples: list,
  }));
}
