import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Mount } from "../../collectors/mounts/table.ts";
import { isErrno } from "../../collectors/read.ts";

/** One name in the root directory that a check sees before anything is mounted into it. */
export type RootEntry =
  | { readonly kind: "directory" | "file"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** Files of the host's /etc that programs need to start at all; none of them holds a secret. */
export const shownEtcFiles = ["passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime", "os-release"] as const;
export const shownEtcDirectories = ["alternatives"] as const;

/** Where /bin and its like are directories of their own (no merged /usr) they are bound like /usr. */
export function systemDirectories(): { readonly links: readonly RootEntry[]; readonly bound: readonly string[] } {
  const links: RootEntry[] = [];
  const bound: string[] = [];
  for (const path of ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]) {
    const kind = lstatSync(path, { throwIfNoEntry: false });
    if (kind?.isSymbolicLink()) links.push({ kind: "link", path, target: readlinkSync(path) });
    else if (kind?.isDirectory()) bound.push(path);
  }
  return { links, bound };
}

/** Everything that must exist before the first mount; parents come before their children. */
export function rootEntries(directories: readonly string[], links: readonly RootEntry[]): RootEntry[] {
  const all = ["/usr", "/etc", "/sys", "/proc", "/dev", "/run", ...directories].flatMap(withParents);
  return [
    ...[...new Set(all)].map((path): RootEntry => ({ kind: "directory", path })),
    ...shownEtcDirectories.map((name): RootEntry => ({ kind: "directory", path: `/etc/${name}` })),
    ...shownEtcFiles.map((name): RootEntry => ({ kind: "file", path: `/etc/${name}` })),
    { kind: "link", path: "/etc/mtab", target: "/proc/self/mounts" },
    ...links,
  ];
}

function withParents(path: string): string[] {
  const parent = dirname(path);
  return parent === "/" ? [path] : [...withParents(parent), path];
}

/**
 * Builds root directories for checks on the file system that is the host's `/`: then `df /` in a check shows the
 * host's numbers, and so does `df` of a declared path where nothing is mounted, as it would on the host. A tmpfs, which
 * bubblewrap would make, has no size at all. The trees hold only empty directories, empty files and links.
 */
export interface SkeletonStore {
  /** Path of a tree with exactly these entries; undefined where no place on the root file system can be written. */
  build(entries: readonly RootEntry[]): string | undefined;
}

export function openSkeletonStore(candidates: readonly string[], mounts: readonly Mount[]): SkeletonStore {
  const place = candidates.find((candidate) => isUsable(candidate, mounts));
  const built = new Set<string>();
  if (place !== undefined) removeAbandoned(place);
  return {
    build: (entries) => {
      if (place === undefined) return undefined;
      const name = createHash("sha256").update(JSON.stringify(entries)).digest("hex").slice(0, 16);
      const tree = join(place, String(process.pid), name);
      if (built.has(tree)) return tree;
      mkdirSync(tree, { recursive: true });
      chmodSync(tree, 0o755);
      for (const entry of entries) createEntry(tree, entry);
      built.add(tree);
      return tree;
    },
  };
}

/** Trees of this process number are from an earlier process as well: nothing has been built yet. */
function removeAbandoned(place: string): void {
  for (const name of readdirSync(place)) {
    if (!/^[0-9]+$/.test(name)) continue;
    if (name === String(process.pid) || !existsSync(`/proc/${name}`)) rmSync(join(place, name), { recursive: true });
  }
}

function isUsable(candidate: string, mounts: readonly Mount[]): boolean {
  try {
    mkdirSync(candidate, { recursive: true, mode: 0o755 });
    return enclosingMount(realpathSync(candidate), mounts) === "/";
  } catch (error) {
    if (isErrno(error, "EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT", "ENOTDIR")) return false;
    throw error;
  }
}

/** The mount point that a path lies on, by the mount table alone. */
export function enclosingMount(path: string, mounts: readonly Mount[]): string {
  const points = mounts.map(({ mountPoint }) => mountPoint);
  return points
    .filter((point) => point === "/" || path === point || path.startsWith(`${point}/`))
    .reduce((longest, point) => (point.length > longest.length ? point : longest), "/");
}

function createEntry(tree: string, entry: RootEntry): void {
  const path = join(tree, entry.path);
  if (entry.kind === "link") {
    symlinkSync(entry.target, path);
    return;
  }
  if (entry.kind === "directory") mkdirSync(path, { recursive: true });
  else writeFileSync(path, "");
  // The daemon runs with a umask of 077; the check user has to get through.
  chmodSync(path, entry.kind === "directory" ? 0o755 : 0o444);
}
