import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isErrno } from "../../collectors/read.ts";
import { waitFor } from "../harness/wait.ts";

export interface Resources {
  readonly processes: number;
  readonly threads: number;
  readonly descriptors: number;
  /** Memory that is the processes' own, not that of the program's file. */
  readonly bytes: number;
}

/** A process and everything below it. A process that ends while it is looked at counts for nothing. */
export function countTree(pid: number): Resources {
  const total = { processes: 0, threads: 0, descriptors: 0, bytes: 0 };
  const add = (id: number): void => {
    try {
      const tasks = readdirSync(`/proc/${id}/task`);
      const descriptors = readdirSync(`/proc/${id}/fd`).length;
      const children = tasks.flatMap((task) => readFileSync(`/proc/${id}/task/${task}/children`, "utf8").split(" "));
      const bytes = anonymousBytes(id);
      total.processes++;
      total.threads += tasks.length;
      total.descriptors += descriptors;
      total.bytes += bytes;
      for (const child of children.filter(Boolean)) add(Number(child));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
    }
  };
  add(pid);
  return total;
}

function anonymousBytes(pid: number): number {
  const kibibytes = /^Anonymous:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

/** Descriptors of a process that are connections to this port of its own. */
export function countConnections(pid: number, port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  const inodes = rows
    .map((row) => row.trim().split(/\s+/))
    .flatMap(([, address = "", , state, , , , , , inode]) =>
      // 0A is the listener itself.
      address.endsWith(local) && state !== "0A" ? [`socket:[${inode}]`] : [],
    );
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readLink(`/proc/${pid}/fd/${fd}`));
  return links.filter((link) => inodes.includes(link)).length;
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return ""; // closed meanwhile
    throw error;
  }
}

/** The most that a tree of processes has of each while it does this a few times. */
export async function countMost(pid: number, work: () => Promise<unknown>, times = 5): Promise<Resources> {
  let most = countTree(pid);
  for (let time = 0; time < times; time++) {
    await work();
    const now = countTree(pid);
    most = {
      processes: Math.max(most.processes, now.processes),
      threads: Math.max(most.threads, now.threads),
      descriptors: Math.max(most.descriptors, now.descriptors),
      bytes: Math.max(most.bytes, now.bytes),
    };
  }
  return most;
}

/**
 * Waits until a tree of processes has no more than it had, give or take what comes and goes by itself. What piles up
 * never comes down to that.
 */
export async function waitForNoMoreThan(early: Resources, pid: number, bytes = 32 * 2 ** 20): Promise<void> {
  await waitFor("what has piled up to be gone", () => {
    const late = countTree(pid);
    const isFine =
      late.processes <= early.processes + 1 &&
      late.threads <= early.threads + 8 &&
      late.descriptors <= early.descriptors + 8 &&
      late.bytes <= early.bytes + bytes;
    if (!isFine) throw new Error(`${JSON.stringify(late)} instead of ${JSON.stringify(early)}`);
    return true;
  });
}
