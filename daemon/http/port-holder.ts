import { readdirSync, readlinkSync } from "node:fs";
import { errnoOf, readText } from "../../collectors/read.ts";

const listening = "0A";

/** "nginx (pid 812)" when the program that listens on a TCP port can be found; it needs the rights to look. */
export function findPortHolder(port: number): string | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (!socketsOf(pid).some((inode) => inodes.has(inode))) continue;
    return `${nameOf(pid)} (pid ${pid})`;
  }
  return undefined;
}

/** Lines of /proc/net/tcp: number, local address:port in hexadecimal, remote, state, …, inode as tenth field. */
function listeningInodes(port: number): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of (ifReadable(() => readText(table)) ?? "").split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state === listening && local.endsWith(`:${hex}`)) inodes.add(inode);
    }
  }
  return inodes;
}

function socketsOf(pid: string): string[] {
  const folder = `/proc/${pid}/fd`;
  const entries = ifReadable(() => readdirSync(folder)) ?? [];
  return entries.flatMap((fd) => {
    const target = ifReadable(() => readlinkSync(`${folder}/${fd}`)) ?? "";
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function nameOf(pid: string): string {
  return ifReadable(() => readText(`/proc/${pid}/comm`).trim()) ?? "a program";
}

/** Other users' processes cannot be read, and processes come and go. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
