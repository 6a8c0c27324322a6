import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";
import { isErrno } from "../../collectors/read.ts";

const ticksPerSecond = Number(Bun.spawnSync(["getconf", "CLK_TCK"]).stdout.toString()) || 100;
const { symbols: libc } = dlopen("libc.so.6", { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });

export interface ProcessMemory {
  readonly rssBytes: number;
  /** Pages that several processes have are counted in shares. */
  readonly pssBytes: number;
  /** Pages that nobody else has. */
  readonly privateBytes: number;
}

export interface ProcessUsage extends ProcessMemory {
  readonly pid: number;
  /** "daemon", "probe nvml": what the program was started as. */
  readonly role: string;
  /** User and system time, of children that have ended (and were waited for) too. */
  readonly cpuSeconds: number;
}

export interface TreeUsage {
  readonly processes: number;
  /** User and system time of the whole tree, of children that have ended (and were waited for) too. */
  readonly cpuSeconds: number;
  readonly root: ProcessMemory;
  readonly tree: ProcessMemory;
  readonly parts: readonly ProcessUsage[];
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Of children that have ended. */
  readonly childTicks: number;
}

/** User and system time of a process and all its descendants, of those that have ended (and were waited for) too. */
export function readTreeCpuSeconds(rootPid: number): number {
  return descendants(rootPid).reduce((total, stat) => total + cpuSecondsOf(stat), 0);
}

/** CPU time and memory of a process and all its descendants, from /proc. */
export function readTreeUsage(rootPid: number): TreeUsage {
  const parts = descendants(rootPid).map((stat) => ({
    pid: stat.pid,
    role: readRole(stat.pid),
    cpuSeconds: cpuSecondsOf(stat),
    ...readMemory(stat.pid),
  }));
  const sum = (key: keyof ProcessMemory): number => parts.reduce((total, part) => total + part[key], 0);
  const root = parts.find(({ pid }) => pid === rootPid) ?? { rssBytes: 0, pssBytes: 0, privateBytes: 0 };
  return {
    processes: parts.length,
    cpuSeconds: parts.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0),
    root: { rssBytes: root.rssBytes, pssBytes: root.pssBytes, privateBytes: root.privateBytes },
    tree: { rssBytes: sum("rssBytes"), pssBytes: sum("pssBytes"), privateBytes: sum("privateBytes") },
    parts,
  };
}

function readRole(pid: number): string {
  const [program = "", command = "", what = ""] = (readOfLivingProcess(`/proc/${pid}/cmdline`) ?? "").split("\0");
  return command === "probe" ? `probe ${what}` : command === "daemon" ? "daemon" : program;
}

function descendants(rootPid: number): Stat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const tree = all.filter(({ pid }) => pid === rootPid);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
}

function readStat(pid: number): Stat | undefined {
  const text = readOfLivingProcess(`/proc/${pid}/stat`);
  // The command name may contain spaces and parentheses; the numbers start after the last one.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  return { pid, parent: Number(fields[1]), childTicks: Number(fields[13]) + Number(fields[14]) };
}

function cpuSecondsOf({ pid, childTicks }: Stat): number {
  return readCpuClock(pid) + childTicks / ticksPerSecond;
}

/**
 * Seconds of all threads of a process, those that have ended too: its CPU clock (clock_getcpuclockid(3)) is exact where
 * /proc counts hundredths, of which one is as much as two scrapes. 0 for a process that has ended.
 */
function readCpuClock(pid: number): number {
  const timespec = new BigInt64Array(2);
  if (libc.clock_gettime((~pid << 3) | 2, ptr(timespec)) !== 0) return 0;
  const [seconds = 0n, nanoseconds = 0n] = timespec;
  return Number(seconds) + Number(nanoseconds) / 1e9;
}

function readMemory(pid: number): ProcessMemory {
  const rollup = readOfLivingProcess(`/proc/${pid}/smaps_rollup`) ?? "";
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0);
  const own = kibibytes("Private_Clean") + kibibytes("Private_Dirty");
  return { rssBytes: kibibytes("Rss") * 1024, pssBytes: kibibytes("Pss") * 1024, privateBytes: own * 1024 };
}

function readOfLivingProcess(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined; // ended meanwhile
    throw error;
  }
}
