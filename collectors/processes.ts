import { existsSync, readdirSync } from "node:fs";
import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { isErrno, readNumber, readText } from "./read.ts";

/** Processes and threads by state, out of /proc/PID/stat: off by default, as it reads a file per thread. */
export const processes = defineCollector({
  name: "processes",
  description: "Processes and threads by state, and the limits of both.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const { pids, threads, states, threadStates } = countProcesses(host);
      const out = createFamilySet();
      const kernel = (file: string): number | undefined => readNumber(host, `${host.procPath}/sys/kernel/${file}`);
      out.gauge("node_processes_threads", "Allocated threads in system", threads);
      out.gauge("node_processes_max_threads", "Limit of threads in the system", kernel("threads-max"));
      out.gauge("node_processes_pids", "Number of PIDs", pids);
      out.gauge("node_processes_max_processes", "Number of max PIDs limit", kernel("pid_max"));
      for (const [state, count] of states) {
        out.gauge("node_processes_state", "Number of processes in each state.", count, { state });
      }
      for (const [thread_state, count] of threadStates) {
        out.gauge("node_processes_threads_state", "Number of threads in each state.", count, { thread_state });
      }
      return out.list();
    },
  }),
});

interface Counts {
  pids: number;
  threads: number;
  readonly states: Map<string, number>;
  readonly threadStates: Map<string, number>;
}

function countProcesses(host: Host): Counts {
  const counts: Counts = { pids: 0, threads: 0, states: new Map(), threadStates: new Map() };
  for (const pid of listNumbers(host.procPath)) {
    const process = readStat(host, `${host.procPath}/${pid}/stat`);
    if (process === undefined) continue;
    counts.pids++;
    counts.threads += process.threads;
    increment(counts.states, process.state);
    // The first thread is the process itself, and most processes have no other; one that just ended has none.
    const tasks = `${host.procPath}/${pid}/task`;
    if (!existsSync(tasks)) continue;
    increment(counts.threadStates, process.state);
    if (process.threads > 1) countThreads(host, { pid, tasks }, counts.threadStates);
  }
  return counts;
}

interface ProcessFolder {
  readonly pid: string;
  readonly tasks: string;
}

function countThreads(host: Host, { pid, tasks }: ProcessFolder, states: Map<string, number>): void {
  for (const thread of listNumbers(tasks)) {
    if (thread === pid) continue;
    const task = readStat(host, `${tasks}/${thread}/stat`);
    if (task !== undefined) increment(states, task.state);
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function listNumbers(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => /^[0-9]+$/.test(name));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return [];
    throw error;
  }
}

function readStat(host: Host, path: string): ProcessStat | undefined {
  try {
    return parseProcessStat(readText(path));
  } catch (error) {
    // A process may end between the listing and here.
    if (!isErrno(error, "ENOENT", "ESRCH")) host.skipped(path, error);
    return undefined;
  }
}

export interface ProcessStat {
  readonly state: string;
  readonly threads: number;
}

/** proc_pid_stat(5): the name, in parentheses, may hold anything, so counting starts behind the last one. */
export function parseProcessStat(text: string): ProcessStat {
  const words = text.slice(text.lastIndexOf(")") + 2).split(" ", 18);
  return { state: words[0] ?? "", threads: parseNumber(words[17]) };
}
