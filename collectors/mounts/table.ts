import type { Host } from "../host.ts";
import { isErrno, readText } from "../read.ts";

/** One line of mountinfo, see proc_pid_mountinfo(5). */
export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** "major:minor" of the superblock: the same for every mount of it. */
  readonly device: string;
  /** The folder of the filesystem that is mounted; not "/" for bind mounts and sub-volumes. */
  readonly root: string;
  /** As the host sees it, escapes resolved. */
  readonly mountPoint: string;
  readonly fstype: string;
  /** As the kernel writes it, escapes included: node_exporter publishes it so. */
  readonly source: string;
  readonly options: ReadonlyMap<string, string>;
  /** shared, master, propagate_from, unbindable. */
  readonly optionalFields: ReadonlyMap<string, string>;
  readonly superOptions: ReadonlyMap<string, string>;
}

/**
 * Every line in the kernel's order. A line that is not a mountinfo line throws, or is handed to `reject` and left out.
 */
export function parseMountInfo(text: string, reject: Reject = refuse): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      try {
        return [parseLine(line)];
      } catch (error) {
        reject(error);
        return [];
      }
    });
}

type Reject = (error: unknown) => void;

function refuse(error: unknown): never {
  throw error;
}

function parseLine(line: string): Mount {
  // Optional fields end at a single dash; a dash alone cannot stand before it, and a source of "-" only after it.
  const separator = line.indexOf(" - ");
  const [id, parentId, device, root, mountPoint, options, ...optional] = line.slice(0, separator).split(" ");
  // The kernel escapes blanks; super options are last and may be missing on old kernels.
  const [fstype, source, superOptions = ""] = line.slice(separator + 3).split(" ");
  if (
    separator < 0 ||
    options === undefined ||
    source === undefined ||
    fstype === undefined ||
    !/^\d+$/.test(id ?? "")
  ) {
    throw new Error(`not a mountinfo line: ${line}`);
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device: device ?? "",
    root: unescape(root ?? ""),
    mountPoint: unescape(mountPoint ?? ""),
    fstype,
    source,
    options: parseOptions(options, ","),
    optionalFields: new Map(optional.map((field) => splitOnce(field, ":"))),
    superOptions: parseOptions(superOptions, ","),
  };
}

// Blank, tab, newline and backslash come as three octal digits (seq_escape in fs/proc_namespace.c); bytes above 127 as they are.
export function unescape(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)))
    : text;
}

function parseOptions(text: string, separator: string): ReadonlyMap<string, string> {
  return new Map(text.split(separator).map((option) => splitOnce(option, "=")));
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The host's mounts. PID 1's table is the host's even when the daemon has a mount namespace of its own; where it may
 * not be read (hidepid, a container without that right) our own has to do.
 */
export function readMountTable(host: Pick<Host, "procPath" | "skipped">): Mount[] {
  return parseMountInfo(readMountInfo(host), (error) => host.skipped("a line of mountinfo", error));
}

function readMountInfo({ procPath }: Pick<Host, "procPath">): string {
  try {
    return readText(`${procPath}/1/mountinfo`);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EACCES", "EPERM")) throw error;
    return readText(`${procPath}/self/mountinfo`);
  }
}

/** A mount point as it is published: without the folder under which a container sees the host's root. */
export function stripRoot(rootPath: string, mountPoint: string): string {
  const root = rootPath.replace(/\/+$/, "");
  if (root === "" || !(mountPoint === root || mountPoint.startsWith(`${root}/`))) return mountPoint;
  return mountPoint === root ? "/" : mountPoint.slice(root.length);
}

/** The mounts that a path lookup reaches: of several at one mount point the last one, which covers the others. */
export function topMounts(mounts: readonly Mount[]): Mount[] {
  return [...new Map(mounts.map((mount) => [mount.mountPoint, mount])).values()];
}

/** Read-only by its mount, by its superblock, or by an ext4 error (`emergency_ro`, Linux 6.15). */
export function isReadOnly({ options, superOptions }: Pick<Mount, "options" | "superOptions">): boolean {
  return options.has("ro") || superOptions.has("ro") || superOptions.has("emergency_ro");
}
