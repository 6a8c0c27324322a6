import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels } from "./collector.ts";
import { createDeviceFilter, deprecatedPattern, pickRenamed } from "./device-filter.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { parseNumber, splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readAttribute, readText } from "./read.ts";

const defaultExclude = String.raw`^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`;

/** Block device I/O: Documentation/admin-guide/iostats.rst; names and file systems as udev found them. */
export const diskstats = defineCollector({
  name: "diskstats",
  description: "I/O statistics of block devices from /proc/diskstats.",
  enabledByDefault: true,
  options: Type.Object(
    {
      device_include: Type.String({
        default: "",
        flag: "collector.diskstats.device-include",
        description: "Regexp of the block devices to publish; excludes device_exclude.",
      }),
      device_exclude: Type.String({
        default: defaultExclude,
        flag: "collector.diskstats.device-exclude",
        description: "Regexp of the block devices to leave out; excludes device_include.",
      }),
      ignored_devices: deprecatedPattern("collector.diskstats.ignored-devices", "device_exclude"),
    },
    { additionalProperties: false },
  ),
  create: ({ device_include: include, device_exclude, ignored_devices }) => {
    const names = { flag: "collector.diskstats.device-exclude", older: "collector.diskstats.ignored-devices" };
    const exclude = pickRenamed(device_exclude, ignored_devices, { ...names, defaultValue: defaultExclude });
    const keep = createDeviceFilter({ flag: "collector.diskstats.device", include, exclude, defaultExclude });
    return {
      collect: async (host) => {
        const out = createFamilySet();
        for (const disk of parseDiskstats(readText(`${host.procPath}/diskstats`), host)) {
          if (keep(disk.device)) addDisk(out, disk, host);
        }
        return out.list();
      },
    };
  },
});

export interface Disk {
  readonly major: string;
  readonly minor: string;
  readonly device: string;
  /** In the kernel's order: 11 since Linux 2.6, 15 since 4.18 (discards), 17 since 5.5 (flushes). */
  readonly counts: readonly number[];
}

export function parseDiskstats(text: string, host: Pick<Host, "skipped">): Disk[] {
  const disks: Disk[] = [];
  for (const line of splitLines(text)) {
    const [major = "", minor = "", device = "", ...counts] = splitFields(line);
    try {
      if (counts.length < 11) throw new Error("fewer than 14 fields");
      disks.push({ major, minor, device, counts: counts.slice(0, statistics.length).map(parseNumber) });
    } catch (error) {
      host.skipped(`${device} in diskstats`, error);
    }
  }
  return disks;
}

// Sectors are 512 bytes whatever the device's block size; times are milliseconds.
const sectorBytes = 512;
const secondsPerTick = 1 / 1000;

/** Name, help and factor, in the order of /proc/diskstats. */
const statistics: readonly (readonly [name: string, help: string, factor: number])[] = [
  ["reads_completed_total", "The total number of reads completed successfully.", 1],
  ["reads_merged_total", "The total number of reads merged.", 1],
  ["read_bytes_total", "The total number of bytes read successfully.", sectorBytes],
  ["read_time_seconds_total", "The total number of seconds spent by all reads.", secondsPerTick],
  ["writes_completed_total", "The total number of writes completed successfully.", 1],
  ["writes_merged_total", "The number of writes merged.", 1],
  ["written_bytes_total", "The total number of bytes written successfully.", sectorBytes],
  ["write_time_seconds_total", "This is the total number of seconds spent by all writes.", secondsPerTick],
  ["io_now", "The number of I/Os currently in progress.", 1],
  ["io_time_seconds_total", "Total seconds spent doing I/Os.", secondsPerTick],
  ["io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", secondsPerTick],
  ["discards_completed_total", "The total number of discards completed successfully.", 1],
  ["discards_merged_total", "The total number of discards merged.", 1],
  ["discarded_sectors_total", "The total number of sectors discarded successfully.", 1],
  ["discard_time_seconds_total", "This is the total number of seconds spent by all discards.", secondsPerTick],
  ["flush_requests_total", "The total number of flush requests completed successfully", 1],
  [
    "flush_requests_time_seconds_total",
    "This is the total number of seconds spent by all flush requests.",
    secondsPerTick,
  ],
];

function addDisk(out: FamilySet, disk: Disk, host: Host): void {
  const { device, major, minor, counts } = disk;
  for (const [index, [name, help, factor]] of statistics.entries()) {
    const count = counts[index];
    if (count === undefined) break;
    out[name === "io_now" ? "gauge" : "counter"](`node_disk_${name}`, help, count * factor, { device });
  }
  const udev = parseUdev(readAttribute(host, `${host.udevDataPath}/b${major}:${minor}`) ?? "");
  const rotational = readAttribute(host, `${host.sysPath}/block/${device}/queue/rotational`) === "1" ? "1" : "0";
  out.gauge("node_disk_info", "Info of /sys/block/<block_device>.", 1, {
    ...{ device, major, minor, rotational },
    path: udev.get("ID_PATH") ?? "",
    wwn: udev.get("ID_WWN") ?? "",
    model: udev.get("ID_MODEL") ?? "",
    // The number printed on the disk where SCSI tells it; virtio has only the last.
    serial: udev.get("SCSI_IDENT_SERIAL") || udev.get("ID_SERIAL_SHORT") || udev.get("ID_SERIAL") || "",
    revision: udev.get("ID_REVISION") ?? "",
  });
  addUdevInfo(out, device, udev);
  if (udev.get("ID_ATA")) addAta(out, { device, udev, host });
}

function addUdevInfo(out: FamilySet, device: string, udev: ReadonlyMap<string, string>): void {
  const pick = (names: Readonly<Record<string, string>>): Labels =>
    Object.fromEntries(Object.entries(names).map(([label, property]) => [label, udev.get(property) ?? ""]));
  if (udev.get("ID_FS_TYPE")) {
    const names = { type: "ID_FS_TYPE", usage: "ID_FS_USAGE", uuid: "ID_FS_UUID", version: "ID_FS_VERSION" };
    out.gauge("node_disk_filesystem_info", "Info about disk filesystem.", 1, { device, ...pick(names) });
  }
  if (udev.get("DM_NAME")) {
    const names = {
      ...{ name: "DM_NAME", uuid: "DM_UUID" },
      ...{ vg_name: "DM_VG_NAME", lv_name: "DM_LV_NAME", lv_layer: "DM_LV_LAYER" },
    };
    out.gauge("node_disk_device_mapper_info", "Info about disk device mapper.", 1, { device, ...pick(names) });
  }
}

const ataProperties = [
  ["ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "ATA disk has a write cache."],
  ["ID_ATA_WRITE_CACHE_ENABLED", "node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."],
  ["ID_ATA_ROTATION_RATE_RPM", "node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."],
] as const;

interface AtaDisk {
  readonly device: string;
  readonly udev: ReadonlyMap<string, string>;
  readonly host: Pick<Host, "skipped">;
}

function addAta(out: FamilySet, { device, udev, host }: AtaDisk): void {
  for (const [property, name, help] of ataProperties) {
    const text = udev.get(property);
    if (text === undefined) continue;
    try {
      out.gauge(name, help, parseNumber(text), { device });
    } catch (error) {
      host.skipped(`${property} of ${device}`, error);
    }
  }
}

/** The `E:NAME=value` lines of a file of udev's database. */
export function parseUdev(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (!line.startsWith("E:")) continue;
    const equals = line.indexOf("=");
    if (equals > 0) properties.set(line.slice(2, equals), line.slice(equals + 1));
  }
  return properties;
}
