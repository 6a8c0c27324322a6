import { closeSync, fstatSync, lstatSync, openSync, readFileSync, readSync } from "node:fs";
import { createNamedFolders, type FilesystemKind, type NamedFolder } from "./named-folders.ts";

/**
 * Reads files through descriptors that stay open: a reading then costs one or two system calls instead of five. For
 * procfs and sysfs, where the kernel makes the content anew for every read at offset 0, and for recorded trees of them
 * on a local disk. Holding a file of sysfs open keeps neither a device nor a module: once its device has gone, a read
 * fails and the file is opened afresh. An ordinary file system cannot be unmounted while a file of it is held.
 */
export interface OpenFiles {
  read(path: string): string;
  /** The number, where the file holds a decimal integer and nothing else, as most of sysfs does; its text otherwise. */
  readIntegerOrText(path: string): number | string;
  /** The names in a folder, as NamedFolders gives them. */
  list(path: string): readonly string[];
  /**
   * The readings from here on are a new round: where their names lead is looked up again, once for all the files of a
   * folder. Without rounds it is looked up for each reading.
   */
  beginRound(): void;
  /** Descriptors held. */
  size(): number;
}

interface OpenFile {
  readonly fd: number;
  /** The folder that the path led through, where that may come to lead elsewhere, and its version. */
  readonly folder: NamedFolder | undefined;
  readonly folderVersion: number;
  /** A read that gives less than this and less than was asked for has come to the end: one system call fewer. */
  readonly endsBelow: number;
  /** What the next read will want. */
  sizeHint: number;
  usedAt: number;
}

/** A page: the longest attribute of sysfs on most machines. */
const smallRead = 4096;
const forgetAfterMs = 300_000;
const sweepEveryMs = 60_000;

export function createOpenFiles(options: { limit?: number; now?: () => number } = {}): OpenFiles {
  const { now = () => performance.now() } = options;
  const open = new Map<string, OpenFile>();
  const folders = createNamedFolders(now);
  let { limit } = options;
  let time = now();
  let hasRounds = false;
  let sweptAt = time;

  /** The length of what is in `buffer` then. */
  const fill = (path: string): number => {
    if (!hasRounds) time = now();
    const known = open.get(path);
    if (known === undefined) return fillNew(path);
    if (known.folder !== undefined && known.folderVersion !== folders.version(known.folder)) {
      forget(path, known);
      return fillNew(path);
    }
    try {
      known.usedAt = time;
      return readAll(known);
    } catch (error) {
      if (isLastingRefusal(error)) throw error;
      // The device behind it may have gone and come back; a failure that lasts is reported by the new descriptor.
      forget(path, known);
      return fillNew(path);
    }
  };

  const fillNew = (path: string): number => {
    // Before the file is opened: what happens in between is then seen at the next read.
    const folder = folderToHoldIn(path);
    const folderVersion = folder === undefined ? 0 : folders.version(folder);
    const fd = openSync(path, "r");
    let held: OpenFile | undefined;
    try {
      const kind = folder !== undefined && belongsTo(folder, path, fd) ? folder.kind : "other";
      const file: OpenFile = {
        ...{ fd, folderVersion, endsBelow: endsBelow(kind, path), sizeHint: smallRead, usedAt: time },
        folder: mayLeadElsewhere(kind, path) ? folder : undefined,
      };
      if (kind !== "other") held = file;
      return readAll(file);
    } catch (error) {
      if (!isLastingRefusal(error)) held = undefined;
      throw error;
    } finally {
      if (held !== undefined) open.set(path, held);
      else closeSync(fd);
    }
  };

  /** Undefined where no file is to be held. */
  const folderToHoldIn = (path: string): NamedFolder | undefined => {
    // A process's own files die with it, and there are many.
    if (/\/proc\/\d/.test(path)) return undefined;
    limit ??= defaultLimit();
    sweep();
    if (open.size >= limit) return undefined;
    const folder = folders.of(path);
    const isWorthIt = folder.kind === "local" ? folder.isSettled : folder.kind !== "other";
    return isWorthIt ? folder : undefined;
  };

  /** Lets go of what has not been read for a while. */
  const sweep = (): void => {
    if (time - sweptAt < sweepEveryMs) return;
    sweptAt = time;
    for (const [path, file] of open) if (time - file.usedAt > forgetAfterMs) forget(path, file);
    folders.sweep(time - forgetAfterMs);
  };

  const forget = (path: string, { fd }: OpenFile): void => {
    open.delete(path);
    closeSync(fd);
  };

  const beginRound = (): void => {
    hasRounds = true;
    time = now();
    folders.lookAgain();
    sweep();
  };

  return {
    read: (path) => toText(fill(path)),
    readIntegerOrText: (path) => {
      const length = fill(path);
      return toInteger(length) ?? toText(length);
    },
    list: folders.list,
    beginRound,
    size: () => open.size,
  };
}

/** Half of what the process may open. */
function defaultLimit(): number {
  const allowed = Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024);
  return Math.min(4096, Math.floor(allowed / 2));
}

/** Whether the file lies in the folder itself: not behind a symbolic link, nor a mount. */
function belongsTo({ kind, device }: NamedFolder, path: string, fd: number): boolean {
  const opened = fstatSync(fd);
  if (opened.dev !== device) return false;
  if (kind !== "local") return true;
  const named = lstatSync(path);
  return named.ino === opened.ino && named.dev === opened.dev;
}

/**
 * A network or RDMA device can be given another's name, and an open file follows the device instead of the name. In an
 * ordinary folder any file can be replaced.
 */
function mayLeadElsewhere(kind: FilesystemKind, path: string): boolean {
  return kind === "local" || (kind === "sysfs" && path.includes("/class/"));
}

/**
 * An attribute of sysfs and a sysctl give all they have, up to a page, at once (sysfs_kf_seq_show,
 * proc_sys_call_handler). Other files of procfs may stop at the end of a record, so only an empty read is their end.
 */
function endsBelow(kind: FilesystemKind, path: string): number {
  if (kind === "local") return Number.POSITIVE_INFINITY;
  return kind === "sysfs" || (kind === "procfs" && path.includes("/proc/sys/")) ? smallRead : 0;
}

/** What a driver answers that does not have this value now, such as the speed of a link that is down. */
function isLastingRefusal(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "EINVAL" || code === "EOPNOTSUPP" || code === "ENODATA";
}

let buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

function readAll(file: OpenFile): number {
  let length = 0;
  for (let want = file.sizeHint; ; want = buffer.length - length) {
    if (length + want > buffer.length) buffer = grow(length + want);
    // The first read asks for little: for some files (/proc/sys) the kernel takes memory for all that is asked for.
    const count = readSync(file.fd, buffer, length, want, length);
    length += count;
    if (count === 0 || count < Math.min(want, file.endsBelow)) break;
    if (length === buffer.length) buffer = grow(buffer.length + 1);
  }
  if (length >= file.sizeHint) file.sizeHint = Math.ceil((length * 1.25) / smallRead) * smallRead;
  return length;
}

function toText(length: number): string {
  return buffer.toString("utf8", 0, length);
}

/** Digits and one line end, and no more of them than a number holds exactly: no text is made of most attributes. */
function toInteger(length: number): number | undefined {
  const [newline, minus, zero] = [10, 45, 48];
  const end = buffer[length - 1] === newline ? length - 1 : length;
  const start = buffer[0] === minus ? 1 : 0;
  if (end <= start) return undefined;
  let value = 0;
  for (let index = start; index < end; index++) {
    const digit = (buffer[index] ?? 0) - zero;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (!Number.isSafeInteger(value)) return undefined;
  return start === 0 ? value : -value;
}

function grow(needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}
