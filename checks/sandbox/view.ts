import { existsSync } from "node:fs";
import { type Mount, topMounts } from "../../collectors/mounts/table.ts";
import type { GrantedPermissions } from "../permissions.ts";
import { type RootEntry, rootEntries, shownEtcDirectories, shownEtcFiles, systemDirectories } from "./skeleton.ts";

/** What a check gets to see, decided from the mount table alone: nothing here touches a path that may hang. */
export interface View {
  /** Options of bubblewrap that make the root file system, up to and including the declared paths. */
  readonly rootOptions: readonly string[];
  /** Options that come after /proc, /dev and /run were made. */
  readonly maskOptions: readonly string[];
  /** Probe directories that may be opened for this run. */
  readonly grants: readonly string[];
  /** One line for each thing that could not be given. */
  readonly notes: readonly string[];
}

/** Mounts that bubblewrap itself may look at; the others are left out with a note. */
type Visibility = "mounted" | "not_mounted" | "not_visible";

/** Secrets and other people's state; masked in the hostfs view where they exist. Never /home or /tmp: see below. */
const maskedDirectories = [
  "/root",
  "/boot",
  "/var/lib/cloud",
  "/var/log",
  "/etc/aami",
  "/etc/ssh",
  "/etc/ssl/private",
  "/etc/sudoers.d",
  "/etc/kubernetes",
  "/var/lib/docker",
  "/var/lib/containerd",
  "/var/lib/kubelet",
];
const maskedFiles = ["shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "krb5.keytab"].map(
  (name) => `/etc/${name}`,
);
const maskedProcFiles = ["kcore", "keys", "kallsyms", "timer_list", "sysrq-trigger"].map((name) => `/proc/${name}`);

export interface ViewContext {
  readonly mounts: readonly Mount[];
  readonly stateDirectory: string | undefined;
  /** Where a tree with these entries stands on the root file system, if it can. */
  buildRoot(entries: readonly RootEntry[]): string | undefined;
}

export function createView(granted: GrantedPermissions, context: ViewContext): View {
  const mounts = topMounts(context.mounts);
  const notes: string[] = [];
  const shown: string[] = [];
  for (const path of [...granted.paths].sort()) {
    const visibility = visibilityOf(path, mounts);
    if (visibility === "mounted") shown.push(path);
    if (visibility === "not_visible") notes.push(`${path} is not visible to the check: ${reasonOf(path, mounts)}`);
  }
  const grants = granted.write.filter((path) => {
    const missing = granted.paths.find((declared) => isAtOrBelow(path, declared) && !shown.includes(declared));
    if (missing !== undefined) notes.push(`${path} cannot be written: nothing is mounted on ${missing}`);
    return missing === undefined;
  });
  const rootOptions =
    granted.view === "hostfs" ? hostRoot(context.stateDirectory) : minimalRoot(granted, grants, shown, context);
  return { rootOptions, maskOptions: maskFiles(maskedProcFiles), grants, notes };
}

/**
 * A declared path is bound only where the host has a mount: a bind makes a mount point of whatever it lands on, and
 * `mountpoint -q` would call a lost mount healthy ever after.
 */
function visibilityOf(path: string, mounts: readonly Mount[]): Visibility {
  const mount = mounts.find(({ mountPoint }) => mountPoint === path);
  if (mount === undefined || path === "/") return "not_mounted";
  // Touching an automount point mounts it, or waits for a server that is gone.
  if (mount.fstype === "autofs") return "not_mounted";
  return isPrivateFuse(mount) ? "not_visible" : "mounted";
}

/** FUSE lets nobody but its owner in, not even root, unless it was told otherwise. */
function isPrivateFuse({ fstype, superOptions }: Mount): boolean {
  return /^fuse(\.|$|blk$)/.test(fstype) && !superOptions.has("allow_other") && superOptions.get("user_id") !== "0";
}

function reasonOf(path: string, mounts: readonly Mount[]): string {
  return `${mounts.find(({ mountPoint }) => mountPoint === path)?.fstype ?? ""} without allow_other`;
}

function minimalRoot(
  granted: GrantedPermissions,
  grants: readonly string[],
  shown: readonly string[],
  { buildRoot }: ViewContext,
): string[] {
  const { links, bound } = systemDirectories();
  // A shown mount has its own directories; a declared path that is not mounted gets a bare one.
  const own = [...granted.paths, ...grants].filter(
    (path) => !shown.some((mount) => path !== mount && isAtOrBelow(path, mount)),
  );
  const directories = own.filter((path) => path !== "/");
  // TMPDIR and /tmp are one plain directory below /run, so /tmp is not a mount point that the host may not have.
  const temporary: readonly RootEntry[] = directories.some((path) => isAtOrBelow(path, "/tmp"))
    ? []
    : [{ kind: "link", path: "/tmp", target: "run/check/tmp" }];
  const entries = rootEntries([...directories, ...bound], [...links, ...temporary]);
  const tree = buildRoot(entries);
  return [
    ...(tree === undefined ? entries.flatMap(toOption) : ["--ro-bind", tree, "/"]),
    ...["/usr", "/sys", ...bound].flatMap((path) => ["--ro-bind", path, path]),
    ...[...shownEtcFiles, ...shownEtcDirectories].flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]),
    ...shown.flatMap((path) => ["--ro-bind", path, path]),
  ];
}

function toOption(entry: RootEntry): string[] {
  if (entry.kind === "directory") return ["--perms", "0755", "--dir", entry.path];
  // A bind makes the file it needs.
  return entry.kind === "link" ? ["--symlink", entry.target, entry.path] : [];
}

function hostRoot(stateDirectory: string | undefined): string[] {
  const directories = stateDirectory === undefined ? maskedDirectories : [...maskedDirectories, stateDirectory];
  return [
    ...["--ro-bind", "/", "/"],
    ...directories.filter((path) => existsSync(path)).flatMap((path) => ["--perms", "0755", "--tmpfs", path]),
    ...maskFiles(maskedFiles),
  ];
}

function maskFiles(paths: readonly string[]): string[] {
  return paths.filter((path) => existsSync(path)).flatMap((path) => ["--ro-bind", "/dev/null", path]);
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}
