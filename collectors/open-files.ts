import { closeSync, fstatSync, openSync, readSync, statfsSync, statSync } from "node:fs";

/**
 * Reads files of procfs and sysfs through descriptors that stay open: a reading then costs one or two system calls
 * instead of five. The kernel makes the content anew for every read at offset 0. Holding such a file open keeps
 * neither a device nor a module: once its device has gone, a read fails and the file is opened afresh.
 */
export interface OpenFiles {
  read(path: string): string;
  /** Descriptors held. */
  size(): number;
}

interface OpenFile {
  readonly fd: number;
  /** The inode of the folder that the path led through, where that may be renamed. */
  readonly folderInode: number | undefined;
  /** What the next read will want. */
  sizeHint: number;
  usedAt: number;
}

/** f_type of statfs(2). */
const kernelFilesystems = new Set([0x9fa0, 0x62656572]);
const smallRead = 4096;
const forgetAfterMs = 300_000;
const sweepEveryMs = 60_000;
const folderCheckEveryMs = 100;

export function createOpenFiles({ limit = 4096, now = () => Date.now() } = {}): OpenFiles {
  const open = new Map<string, OpenFile>();
  const deviceIsKernels = new Map<number, boolean>();
  const folders = new Map<string, { readonly inode: number; readonly checkedAt: number }>();
  let sweptAt = now();

  const read = (path: string): string => {
    const known = open.get(path);
    if (known === undefined) return readNew(path);
    if (known.folderInode !== folderInode(path)) {
      forget(path, known);
      return readNew(path);
    }
    try {
      known.usedAt = now();
      return readAll(known);
    } catch (error) {
      if (isLastingRefusal(error)) throw error;
      // The device behind it may have gone and come back; a failure that lasts is reported by the new descriptor.
      forget(path, known);
      return readNew(path);
    }
  };

  const readNew = (path: string): string => {
    // Before the file is opened: a renaming in between is then seen at the next read.
    const inode = folderInode(path);
    const fd = openSync(path, "r");
    const file: OpenFile = { fd, folderInode: inode, sizeHint: smallRead, usedAt: now() };
    let keep = false;
    try {
      keep = isWorthKeeping(path, fd);
      return readAll(file);
    } catch (error) {
      keep &&= isLastingRefusal(error);
      throw error;
    } finally {
      if (keep) open.set(path, file);
      else closeSync(fd);
    }
  };

  /**
   * A network or RDMA device can be given another's name, and an open file follows the device instead of the name. Each
   * folder of a class is therefore looked up again, once per collection or so and not for every file in it.
   */
  const folderInode = (path: string): number | undefined => {
    if (!path.includes("/class/")) return undefined;
    const folder = path.slice(0, path.lastIndexOf("/"));
    const known = folders.get(folder);
    const time = now();
    if (known !== undefined && time - known.checkedAt < folderCheckEveryMs) return known.inode;
    const inode = statSync(folder, { throwIfNoEntry: false })?.ino ?? 0;
    folders.set(folder, { inode, checkedAt: time });
    return inode;
  };

  const isWorthKeeping = (path: string, fd: number): boolean => {
    // A process's own files die with it, and there are many.
    if (/\/proc\/\d/.test(path)) return false;
    if (open.size >= limit && !sweep()) return false;
    const { dev } = fstatSync(fd);
    const known = deviceIsKernels.get(dev);
    if (known !== undefined) return known;
    const isKernels = kernelFilesystems.has(statfsSync(path).type);
    deviceIsKernels.set(dev, isKernels);
    return isKernels;
  };

  /** Lets go of what has not been read for a while; whether there is room again. */
  const sweep = (): boolean => {
    const time = now();
    if (time - sweptAt < sweepEveryMs) return false;
    sweptAt = time;
    for (const [path, file] of open) if (time - file.usedAt > forgetAfterMs) forget(path, file);
    for (const [path, { checkedAt }] of folders) if (time - checkedAt > forgetAfterMs) folders.delete(path);
    return open.size < limit;
  };

  const forget = (path: string, { fd }: OpenFile): void => {
    open.delete(path);
    closeSync(fd);
  };

  return { read, size: () => open.size };
}

/** What a driver answers that does not have this value now, such as the speed of a link that is down. */
function isLastingRefusal(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "EINVAL" || code === "EOPNOTSUPP" || code === "ENODATA";
}

let buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

function readAll(file: OpenFile): string {
  let length = 0;
  for (let want = file.sizeHint; ; want = buffer.length - length) {
    if (length + want > buffer.length) buffer = grow(length + want);
    // The first read asks for little: for some files (/proc/sys) the kernel takes memory for all that is asked for.
    const count = readSync(file.fd, buffer, length, want, length);
    length += count;
    if (count === 0) break;
    if (length === buffer.length) buffer = grow(buffer.length + 1);
  }
  if (length >= file.sizeHint) file.sizeHint = Math.ceil((length * 1.25) / smallRead) * smallRead;
  return buffer.toString("utf8", 0, length);
}

function grow(needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}
