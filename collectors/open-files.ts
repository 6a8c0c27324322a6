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
  /** The folder that the path led through, where that may be renamed, and its inode. */
  readonly folder: Folder | undefined;
  readonly folderInode: number | undefined;
  /** Whether a read that gives less than was asked for has come to the end: one system call fewer. */
  readonly endsShort: boolean;
  /** What the next read will want. */
  sizeHint: number;
  usedAt: number;
}

interface Folder {
  readonly path: string;
  inode: number;
  checkedAt: number;
}

/** f_type of statfs(2). */
const PROC_SUPER_MAGIC = 0x9fa0;
const SYSFS_MAGIC = 0x62656572;
/** A page: the longest attribute of sysfs on most machines. */
const smallRead = 4096;
const forgetAfterMs = 300_000;
const sweepEveryMs = 60_000;
const folderCheckEveryMs = 100;

export function createOpenFiles({ limit = 4096, now = () => Date.now() } = {}): OpenFiles {
  const open = new Map<string, OpenFile>();
  const typeOfDevice = new Map<number, number>();
  const folders = new Map<string, Folder>();
  let sweptAt = now();

  const read = (path: string): string => {
    const known = open.get(path);
    if (known === undefined) return readNew(path);
    if (known.folderInode !== inodeOf(known.folder)) {
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
    const folder = folderOf(path);
    const folderInode = inodeOf(folder);
    const fd = openSync(path, "r");
    let held: OpenFile | undefined;
    try {
      const type = filesystemWorthKeeping(path, fd);
      const file = { fd, folder, folderInode, endsShort: endsShort(type, path), sizeHint: smallRead, usedAt: now() };
      if (type !== undefined) held = file;
      return readAll(file);
    } catch (error) {
      if (!isLastingRefusal(error)) held = undefined;
      throw error;
    } finally {
      if (held !== undefined) open.set(path, held);
      else closeSync(fd);
    }
  };

  /**
   * A network or RDMA device can be given another's name, and an open file follows the device instead of the name. Each
   * folder of a class is therefore looked up again, once per collection or so and not for every file in it.
   */
  const folderOf = (path: string): Folder | undefined => {
    if (!path.includes("/class/")) return undefined;
    const folderPath = path.slice(0, path.lastIndexOf("/"));
    const known = folders.get(folderPath);
    if (known !== undefined) return known;
    const folder = { path: folderPath, inode: 0, checkedAt: Number.NEGATIVE_INFINITY };
    folders.set(folderPath, folder);
    return folder;
  };

  const inodeOf = (folder: Folder | undefined): number | undefined => {
    if (folder === undefined) return undefined;
    const time = now();
    if (time - folder.checkedAt >= folderCheckEveryMs) {
      folder.inode = statSync(folder.path, { throwIfNoEntry: false })?.ino ?? 0;
      folder.checkedAt = time;
    }
    return folder.inode;
  };

  /** The type of the kernel's own file systems, whose files are worth to be held; undefined for all others. */
  const filesystemWorthKeeping = (path: string, fd: number): number | undefined => {
    // A process's own files die with it, and there are many.
    if (/\/proc\/\d/.test(path)) return undefined;
    if (open.size >= limit && !sweep()) return undefined;
    const { dev } = fstatSync(fd);
    const type = typeOfDevice.get(dev) ?? statfsSync(path).type;
    typeOfDevice.set(dev, type);
    return type === PROC_SUPER_MAGIC || type === SYSFS_MAGIC ? type : undefined;
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

/**
 * An attribute of sysfs and a sysctl give all they have at once (sysfs_kf_seq_show, proc_sys_call_handler). Other files
 * of procfs may stop at the end of a record, so only an empty read is their end.
 */
function endsShort(type: number | undefined, path: string): boolean {
  return type === SYSFS_MAGIC || (type === PROC_SUPER_MAGIC && path.includes("/proc/sys/"));
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
    if (count === 0 || (file.endsShort && count < Math.min(want, smallRead))) break;
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
