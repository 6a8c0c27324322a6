import { readdirSync, readFileSync } from "node:fs";
import { isErrno } from "../../collectors/read.ts";

const ticksPerSecond = Number(Bun.spawnSync(["getconf", "CLK_TCK"]).stdout.toString()) || 100;

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
  readonly ticks: number;
}

/** CPU time and memory of a process and all its descendants, from /proc. */
export function readTreeUsage(rootPid: number): TreeUsage {
  const parts = descendants(rootPid).map(({ pid, ticks }) => ({
    pid,
    role: readRole(pid),
    cpuSeconds: ticks / ticksPerSecond,
    ...readMemory(pid),
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
  const ticks = fields.slice(11, 15).reduce((total, field) => total + Number(field), 0);
  return { pid, parent: Number(fields[1]), ticks };
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
