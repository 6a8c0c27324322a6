import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels } from "./collector.ts";
import { createDeviceFilter, deprecatedPattern, pickRenamed } from "./device-filter.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import { parseIntegers, parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { createNamedLines } from "./named-lines.ts";
import { readAttribute, readText } from "./read.ts";
import { remember, rememberLatest } from "./remember.ts";

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
    const keep = createDeviceFilter({
      flag: "collector.diskstats.device",
      include,
      exclude,
      exclusive: { defaultExclude },
    });
    const describe = createDescriber();
    const readDisks = createNamedLines(/^\s*(\d+\s+\d+\s+\S+) /, (name) => {
      const disk = toDisk(name);
      return keep(disk.device) ? disk : undefined;
    });
    return {
      collect: async (host) => {
        const out = createFamilySet();
        readDisks(readText(`${host.procPath}/diskstats`), (disk, text) => {
          const counts = parseCounts(disk, text, host);
          if (counts === undefined) return;
          addCounts(out, disk, counts);
          const { infos, udev } = describe(disk, host);
          for (const { family, labels } of infos) out.add(family, labels, 1);
          if (udev.get("ID_ATA")) addAta(out, { device: disk.device, udev, host });
        });
        return out.list();
      },
    };
  },
});

interface Disk {
  readonly major: string;
  readonly minor: string;
  readonly device: string;
}

/** Of "8 0 sda". */
function toDisk(name: string): Disk {
  const [major = "", minor = "", device = ""] = splitFields(name);
  return { major, minor, device };
}

/** In the kernel's order: 11 since Linux 2.6, 15 since 4.18 (discards), 17 since 5.5 (flushes). */
function parseCounts({ device }: Disk, text: string, host: Pick<Host, "skipped">): readonly number[] | undefined {
  try {
    const counts = parseIntegers(` ${text}`, 0) ?? splitFields(text).map(parseNumber);
    if (counts.length >= 11) return counts;
    throw new Error("fewer than 14 fields");
  } catch (error) {
    host.skipped(`${device} in diskstats`, error);
    return undefined;
  }
}

// Sectors are 512 bytes whatever the device's block size; times are milliseconds.
const sectorBytes = 512;
const secondsPerTick = 1 / 1000;

const statistic = (name: string, help: string, factor = 1): { family: FamilyHead; factor: number } => ({
  family: (name === "io_now" ? gauge : counter)(`node_disk_${name}`, help),
  factor,
});

/** In the order of /proc/diskstats. */
const statistics = [
  statistic("reads_completed_total", "The total number of reads completed successfully."),
  statistic("reads_merged_total", "The total number of reads merged."),
  statistic("read_bytes_total", "The total number of bytes read successfully.", sectorBytes),
  statistic("read_time_seconds_total", "The total number of seconds spent by all reads.", secondsPerTick),
  statistic("writes_completed_total", "The total number of writes completed successfully."),
  statistic("writes_merged_total", "The number of writes merged."),
  statistic("written_bytes_total", "The total number of bytes written successfully.", sectorBytes),
  statistic("write_time_seconds_total", "This is the total number of seconds spent by all writes.", secondsPerTick),
  statistic("io_now", "The number of I/Os currently in progress."),
  statistic("io_time_seconds_total", "Total seconds spent doing I/Os.", secondsPerTick),
  statistic("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", secondsPerTick),
  statistic("discards_completed_total", "The total number of discards completed successfully."),
  statistic("discards_merged_total", "The total number of discards merged."),
  statistic("discarded_sectors_total", "The total number of sectors discarded successfully."),
  statistic("discard_time_seconds_total", "This is the total number of seconds spent by all discards.", secondsPerTick),
  statistic("flush_requests_total", "The total number of flush requests completed successfully"),
  statistic(
    "flush_requests_time_seconds_total",
    "This is the total number of seconds spent by all flush requests.",
    secondsPerTick,
  ),
];

const labelsOf = remember((device) => ({ device }));

function addCounts(out: FamilySet, { device }: Disk, counts: readonly number[]): void {
  const labels = labelsOf(device);
  for (let index = 0; index < counts.length; index++) {
    const known = statistics[index];
    if (known !== undefined) out.add(known.family, labels, (counts[index] ?? 0) * known.factor);
  }
}

const diskInfo = gauge("node_disk_info", "Info of /sys/block/<block_device>.");
const filesystemInfo = gauge("node_disk_filesystem_info", "Info about disk filesystem.");
const mapperInfo = gauge("node_disk_device_mapper_info", "Info about disk device mapper.");

interface Description {
  readonly infos: readonly { readonly family: FamilyHead; readonly labels: Labels }[];
  readonly udev: ReadonlyMap<string, string>;
}

/** What is known of a disk beside its counts, which seldom changes. */
function createDescriber(): (disk: Disk, host: Host) => Description {
  const latestOf = remember((_device) => rememberLatest<Description>());
  return (disk, host) => {
    const { device, major, minor } = disk;
    const text = readAttribute(host, `${host.udevDataPath}/b${major}:${minor}`) ?? "";
    const rotational = readAttribute(host, `${host.sysPath}/block/${device}/queue/rotational`) === "1" ? "1" : "0";
    return latestOf(device)([major, minor, rotational, text], () => {
      const udev = parseUdev(text);
      return { infos: toInfos(disk, rotational, udev), udev };
    });
  };
}

function toInfos(
  { device, major, minor }: Disk,
  rotational: string,
  udev: ReadonlyMap<string, string>,
): Description["infos"] {
  const pick = (names: Readonly<Record<string, string>>): Labels =>
    Object.fromEntries(Object.entries(names).map(([label, property]) => [label, udev.get(property) ?? ""]));
  const disk = {
    ...{ device, major, minor, rotational },
    ...pick({ path: "ID_PATH", wwn: "ID_WWN", model: "ID_MODEL", revision: "ID_REVISION" }),
    // The number printed on the disk where SCSI tells it; virtio has only the last.
    serial: udev.get("SCSI_IDENT_SERIAL") || udev.get("ID_SERIAL_SHORT") || udev.get("ID_SERIAL") || "",
  };
  const infos: { family: FamilyHead; labels: Labels }[] = [{ family: diskInfo, labels: disk }];
  if (udev.get("ID_FS_TYPE")) {
    const names = { type: "ID_FS_TYPE", usage: "ID_FS_USAGE", uuid: "ID_FS_UUID", version: "ID_FS_VERSION" };
    infos.push({ family: filesystemInfo, labels: { device, ...pick(names) } });
  }
  if (udev.get("DM_NAME")) {
    const names = {
      ...{ name: "DM_NAME", uuid: "DM_UUID" },
      ...{ vg_name: "DM_VG_NAME", lv_name: "DM_LV_NAME", lv_layer: "DM_LV_LAYER" },
    };
    infos.push({ family: mapperInfo, labels: { device, ...pick(names) } });
  }
  return infos;
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
      out.gauge(name, help, parseNumber(text), labelsOf(device));
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
