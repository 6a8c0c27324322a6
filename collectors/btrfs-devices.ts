import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { basename } from "node:path";
import type { Host } from "./host.ts";
import { type Mount, readMountTable } from "./mounts/table.ts";
import { isErrno } from "./read.ts";

/** A member of a mounted btrfs, as only its ioctls tell it. */
export interface BtrfsDevice {
  readonly device: string;
  readonly deviceUuid: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly errors: Readonly<Record<(typeof errorTypes)[number], number>>;
}

/** In the order of enum btrfs_dev_stat_values of linux/btrfs.h, where the requests and their structures are too. */
const errorTypes = ["write", "read", "flush", "corruption", "generation"] as const;
const fsInfo = { request: 0x8400_941f, bytes: 1024 };
const deviceInfo = { request: 0xd000_941e, bytes: 4096 };
const deviceStats = { request: 0xc408_9434, bytes: 1032 };

// Opened with the first btrfs that is found, so that a host without one loads no library.
let opened: ReturnType<typeof openLibc> | undefined;

function openLibc() {
  return dlopen("libc.so.6", { ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" } }).symbols;
}

/** Devices by filesystem UUID (32 hexadecimal digits); a filesystem that cannot be asked is not among them. */
export function readBtrfsDevices(host: Host): Map<string, BtrfsDevice[]> {
  const byFilesystem = new Map<string, BtrfsDevice[]>();
  const sources = new Set<string>();
  for (const mount of listMounts(host)) {
    if (mount.fstype !== "btrfs" || sources.has(mount.source)) continue;
    const path = `${host.rootPath.replace(/\/$/, "")}${mount.mountPoint}`;
    const found = readFilesystem(host, path);
    if (found === undefined) continue;
    sources.add(mount.source);
    byFilesystem.set(found.uuid, found.devices);
  }
  return byFilesystem;
}

function listMounts(host: Host): Mount[] {
  try {
    return readMountTable(host);
  } catch (error) {
    host.skipped("btrfs mounts", error);
    return [];
  }
}

function readFilesystem(host: Host, path: string): { uuid: string; devices: BtrfsDevice[] } | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    const info = call(descriptor, fsInfo);
    if (info === undefined) throw new Error("BTRFS_IOC_FS_INFO failed");
    const uuid = info.toString("hex", 16, 32);
    return { uuid, devices: readDevices(descriptor, uint64(info, 0), uint64(info, 8)) };
  } catch (error) {
    // A mount point that this process does not see (another mount namespace): sysfs still has the sizes.
    if (!isErrno(error, "ENOENT", "EACCES")) host.skipped(`btrfs devices of ${path}`, error);
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Device ids start at 1 (0 while one is being replaced) and have gaps where devices were removed. */
function readDevices(descriptor: number, maxId: number, count: number): BtrfsDevice[] {
  const devices: BtrfsDevice[] = [];
  for (let id = 0; id <= maxId && devices.length < count; id += 1) {
    const info = call(descriptor, deviceInfo, id);
    if (info === undefined) continue;
    const stats = call(descriptor, deviceStats, id, errorTypes.length);
    if (stats === undefined) throw new Error("BTRFS_IOC_GET_DEV_STATS failed");
    const errors = errorTypes.map((type, index) => [type, uint64(stats, 24 + 8 * index)]);
    devices.push({
      device: basename(info.toString("utf8", 3072, info.indexOf(0, 3072))),
      deviceUuid: info.toString("hex", 8, 24),
      usedBytes: uint64(info, 24),
      totalBytes: uint64(info, 32),
      errors: Object.fromEntries(errors) as BtrfsDevice["errors"],
    });
  }
  return devices;
}

/** The structure as the kernel filled it in, or undefined when the call failed. */
function call(
  descriptor: number,
  { request, bytes }: { readonly request: number; readonly bytes: number },
  ...head: readonly number[]
): Buffer | undefined {
  const buffer = Buffer.alloc(bytes);
  head.forEach((value, index) => buffer.writeBigUInt64LE(BigInt(value), 8 * index));
  opened ??= openLibc();
  return opened.ioctl(descriptor, request, ptr(buffer)) === 0 ? buffer : undefined;
}

function uint64(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}
