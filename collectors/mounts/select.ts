import type { Mount } from "./table.ts";

const remoteTypes = new Set(
  (
    "9p afs beegfs ceph cifs coda daos glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2 smb3 smbfs " +
    "virtiofs vboxsf wekafs gfs2 panfs quobyte"
  ).split(" "),
);

/** Whether a server outside this kernel answers for the filesystem, so that it may stop answering. */
export function isRemote(fstype: string): boolean {
  return remoteTypes.has(fstype) || fstype === "fuse" || fstype.startsWith("fuse.");
}

/**
 * Mounts that fail together: all of one NFS server, otherwise all of one superblock. While one of a group is stuck the
 * others are hardly probed, as each more would only leave another process behind.
 */
export function groupOf({ fstype, source, device }: Mount): string {
  const server = fstype.startsWith("nfs") ? /^(\[.*?\]|[^:/]+):/.exec(source)?.[1] : undefined;
  return server === undefined ? `device ${device}` : `nfs ${server}`;
}

export type Automount = "none" | "permanent" | "expiring";

/**
 * Whether autofs put the mount there. Looking at one that expires would keep it mounted for ever, and looking at one
 * that has just expired would mount it again; with `timeout=0` (systemd's default) it stays anyway.
 */
export function automountOf(mount: Mount, byId: ReadonlyMap<number, Mount>): Automount {
  const parent = byId.get(mount.parentId);
  if (parent?.fstype !== "autofs") return "none";
  return parent.superOptions.get("timeout") === "0" ? "permanent" : "expiring";
}
