import { readdirSync, statfsSync, statSync } from "node:fs";
import { watchMounts } from "./mount-changes.ts";

/**
 * Says whether the names in a folder still lead to the files they led to, by looking at the folder instead of at each
 * file in it.
 */
export interface NamedFolders {
  /** The folder that the path of a file leads through, as it is now. */
  of(path: string): NamedFolder;
  /** As long as it is the same, a name in a settled local folder, or in one of sysfs, leads to the same file. */
  version(folder: NamedFolder): number;
  /**
   * The names in a folder in byte order, the same array as long as they are the same; empty when it is not there. sysfs
   * does not tell when a name comes, so there a folder that is still the same one is listed once a minute.
   */
  list(path: string): readonly string[];
  /** What was seen before counts no longer. Until the first call, a folder is looked at whenever it is asked for. */
  lookAgain(): void;
  /** Forgets those not looked at since. */
  sweep(since: number): void;
}

/** What was last seen of a folder. */
export interface NamedFolder {
  readonly path: string;
  kind: FilesystemKind;
  device: number;
  inode: number;
  modifiedMs: number;
  changedMs: number;
  mountChanges: number;
  /** Its last change is so long ago that the next one will leave other times behind. */
  isSettled: boolean;
  version: number;
  look: number;
  seenAt: number;
  names: readonly string[];
  /** The version that has these names for sure; -1 where there is none. */
  namesVersion: number;
  listedAt: number;
}

/** `local`: an ordinary file system, whose folders bear the time of the last change of a name. */
export type FilesystemKind = "procfs" | "sysfs" | "local" | "other";

/**
 * By f_type of statfs(2). Not among them: overlays, where an open file does not become the copy that is written to, and
 * whatever asks a server or a program.
 */
const kindOfType: ReadonlyMap<number, FilesystemKind> = new Map([
  [0x9fa0, "procfs"],
  [0x62656572, "sysfs"],
  [0xef53, "local"], // ext2, ext3, ext4
  [0x58465342, "local"], // XFS
  [0x9123683e, "local"], // Btrfs
  [0x01021994, "local"], // tmpfs
]);

/**
 * The kernel stamps files by a clock of its own that ticks every 1 to 10 ms, and ext3 keeps the seconds only: two changes
 * may bear the same time.
 */
const settledAfterMs = 1100;
const listAgainAfterMs = 60_000;

export function createNamedFolders(now: () => number): NamedFolders {
  const folders = new Map<string, NamedFolder>();
  let look = 0;
  let mounts: { readonly countChanges: () => number; changes: number; look: number } | undefined;

  const see = (folder: NamedFolder): NamedFolder => {
    if (look > 0 && folder.look === look) return folder;
    const wasLocal = folder.kind === "local";
    // Before the folder: what is mounted from here on is a change for the next look.
    const mountChanges = wasLocal ? countMountChanges() : folder.mountChanges;
    const stats = statSync(folder.path, { throwIfNoEntry: false });
    const { dev: device = 0, ino: inode = 0, mtimeMs: modifiedMs = 0, ctimeMs: changedMs = 0 } = stats ?? {};
    const isOther = device !== folder.device || inode !== folder.inode || mountChanges !== folder.mountChanges;
    const isChanged = modifiedMs !== folder.modifiedMs || changedMs !== folder.changedMs;
    if (isOther || (wasLocal && isChanged)) folder.version++;
    if (isOther) folder.kind = stats === undefined ? "other" : kindOf(folder.path);
    folder.device = device;
    folder.inode = inode;
    folder.modifiedMs = modifiedMs;
    folder.changedMs = changedMs;
    folder.mountChanges = mountChanges;
    folder.seenAt = now();
    folder.isSettled = Date.now() - Math.max(modifiedMs, changedMs) >= settledAfterMs;
    // Mounts were not watched before it was known to be local.
    if (folder.kind === "local" && !wasLocal) return see(folder);
    folder.look = look;
    return folder;
  };

  const countMountChanges = (): number => {
    mounts ??= { countChanges: watchMounts(), changes: 0, look: -1 };
    if (look === 0 || mounts.look !== look) mounts.changes = mounts.countChanges();
    mounts.look = look;
    return mounts.changes;
  };

  const at = (path: string): NamedFolder => {
    const known = folders.get(path);
    if (known !== undefined) return see(known);
    const folder: NamedFolder = {
      ...{ path, kind: "other", device: 0, inode: 0, modifiedMs: 0, changedMs: 0 },
      ...{ mountChanges: 0, isSettled: false, version: 0, look: -1, seenAt: 0 },
      ...{ names: [], namesVersion: -1, listedAt: 0 },
    };
    folders.set(path, folder);
    return see(folder);
  };

  const list = (path: string): readonly string[] => {
    const folder = at(path);
    const isThere = folder.inode !== 0;
    const isDue = folder.kind !== "local" && folder.seenAt - folder.listedAt >= listAgainAfterMs;
    if (isThere && folder.namesVersion === folder.version && !isDue) return folder.names;
    const names = isThere ? readdirSync(path).sort() : [];
    if (!isSame(names, folder.names)) folder.names = names;
    folder.namesVersion =
      folder.kind === "sysfs" || (folder.kind === "local" && folder.isSettled) ? folder.version : -1;
    folder.listedAt = folder.seenAt;
    return folder.names;
  };

  return {
    of: (filePath) => at(filePath.slice(0, filePath.lastIndexOf("/")) || "/"),
    list,
    version: (folder) => see(folder).version,
    lookAgain: () => void look++,
    sweep: (since) => {
      for (const [path, { seenAt }] of folders) if (seenAt < since) folders.delete(path);
    },
  };
}

function isSame(names: readonly string[], before: readonly string[]): boolean {
  return names.length === before.length && names.every((name, index) => name === before[index]);
}

function kindOf(path: string): FilesystemKind {
  return kindOfType.get(statfsSync(path).type) ?? "other";
}
