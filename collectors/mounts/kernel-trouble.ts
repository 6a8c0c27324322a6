import { readdirSync, readlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { EventLog } from "../events.ts";
import { isErrno } from "../read.ts";
import type { Mount } from "./table.ts";

export interface KernelTroubleOptions {
  readonly events: Pick<EventLog, "since">;
  readonly sysPath: string;
  /** What the kernel has said before it was booted is over. */
  readonly bootId: string | undefined;
}

/** Kinds of events after which a write may hang, or make the damage worse. */
const blockKinds = new Set([
  "buffer_io_error",
  "disk_io_error",
  "disk_media_error",
  "filesystem_error",
  "filesystem_read_only",
  "filesystem_shutdown",
  "nvme_gone",
  "nvme_no_path",
  "nvme_not_ready",
  "scsi_error",
]);

/**
 * The event of the kernel log that speaks against a write to a mount: its filesystem or its disk has met errors since it
 * was mounted, or its server has stopped to answer. Undefined when nothing does.
 */
export function findKernelTrouble(mount: Mount, options: KernelTroubleOptions): string | undefined {
  const { events, sysPath, bootId } = options;
  if (bootId === undefined) return undefined;
  const told = events.since(0).filter(({ key }) => key.startsWith(`kmsg:${bootId}:`));
  const isRemote = mount.fstype.startsWith("nfs");
  const names = isRemote ? [serverOf(mount)] : deviceNames(mount, sysPath);
  const end = isRemote ? "nfs_responding" : "filesystem_mounted";
  // The filesystem is mounted by its own device, not by the disk below.
  const isEnd = ({ kind, device }: (typeof told)[number]): boolean => kind === end && device === names[0];
  const since = told.findLast(isEnd)?.atMs ?? 0;
  const speaksAgainst = isRemote
    ? // A stack trace does not name the server.
      (kind: string, device: string) =>
        kind === "nfs_writeback_hung" || (kind === "nfs_not_responding" && names.includes(device))
    : (kind: string, device: string) => blockKinds.has(kind) && names.includes(device);
  return told.findLast(({ kind, device, atMs }) => atMs >= since && speaksAgainst(kind, device))?.kind;
}

/** "nas:/export", "[fd00::1]:/export", as the kernel names the server. */
function serverOf({ source }: Mount): string {
  return source.slice(0, source.lastIndexOf(":/")).replace(/^\[(.*)\]$/, "$1");
}

/** The kernel's names of a mount's device, its own first, then those of the disks below it. */
function deviceNames({ device, source }: Mount, sysPath: string): string[] {
  const names = namesOf(`${sysPath}/dev/block/${device}`);
  // btrfs and some others have no block device of their own.
  if (names.length === 0) return source.startsWith("/dev/") ? [basename(source)] : [];
  return [...new Set(names)];
}

/** Follows a link to a block device: the device, the disk of a partition, the NVMe controller, what a volume lies on. */
function namesOf(link: string): string[] {
  try {
    const target = readlinkSync(link);
    const [name, parent] = [basename(target), basename(dirname(target))];
    const disk = /^(block|slaves|holders)$/.test(parent) || !name.startsWith(parent) ? [] : [parent];
    const controller = /^(nvme\d+)n\d+/.exec(name)?.[1];
    // A mirror (md) goes on without one of its disks, so what lies below one says nothing about it.
    const below = name.startsWith("dm-") ? readdirSync(`${link}/slaves`) : [];
    return [
      name,
      ...disk,
      ...(controller === undefined ? [] : [controller]),
      ...below.flatMap((each) => namesOf(`${link}/slaves/${each}`)),
    ];
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EINVAL")) return [];
    throw error;
  }
}
