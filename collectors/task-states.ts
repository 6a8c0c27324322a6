import { Type } from "@sinclair/typebox";
import { readdirSync, readFileSync } from "node:fs";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { isErrno, parseDecimal, readTextIfPresent } from "./read.ts";

const blocked = gauge(
  "aami_task_blocked_start_ticks",
  "Start time, in clock ticks since boot, of a process in uninterruptible sleep.",
);
const threads = gauge("aami_task_threads", "Threads of all processes.");
const threadsMax = gauge(
  "aami_task_threads_max",
  "Threads that the kernel allows: the lower of pid_max and threads-max.",
);
const counts = gauge("aami_task_state_processes", "Processes in this state.");

/** Of a machine on which everything waits for one server, some are enough. */
const mostBlocked = 500;

/** /proc/PID/stat of every process, for the checks d_state, process_table and zombies: thousands of files, so no page has it. */
export const taskStates = {
  ...defineCollector({
    name: "task_states",
    description:
      "Processes in uninterruptible sleep, zombies and threads, for the checks d_state, process_table and zombies.",
    enabledByDefault: true,
    options: Type.Object({}, { additionalProperties: false }),
    create: () => ({
      collect: async (host) => {
        const set = createFamilySet();
        const totals = { zombie: 0, blocked: 0, all: 0 };
        for (const pid of readdirSync(host.procPath)) {
          if (!/^\d+$/.test(pid)) continue;
          const task = readTask(host, pid);
          if (task === undefined) continue;
          totals.all++;
          if (task.state === "Z") totals.zombie++;
          if (task.state !== "D") continue;
          totals.blocked++;
          if (totals.blocked <= mostBlocked) set.add(blocked, { pid, name: task.name }, task.startTicks);
        }
        for (const [state, value] of Object.entries(totals)) set.add(counts, { state }, value);
        addThreads(set, host.procPath);
        return set.list();
      },
    }),
  }),
  forChecks: true,
} as const;

/** "0.20 0.18 0.12 1/847 11206": the second of the pair is the number of threads, see proc_loadavg(5). */
function addThreads(set: FamilySet, procPath: string): void {
  const number = (path: string): number | undefined =>
    parseDecimal(readTextIfPresent(`${procPath}/sys/kernel/${path}`)?.trim() ?? "");
  const all = /^(?:\S+ ){3}\d+\/(\d+) /.exec(readTextIfPresent(`${procPath}/loadavg`) ?? "")?.[1];
  const limits = [number("pid_max"), number("threads-max")].filter((limit) => limit !== undefined);
  set.add(threads, {}, all === undefined ? undefined : Number(all));
  set.add(threadsMax, {}, limits.length === 0 ? undefined : Math.min(...limits));
}

/** Not through the descriptors that stay open: these files are new ones each time. Undefined when the process is gone. */
function readTask(host: Pick<Host, "procPath" | "skipped">, pid: string): TaskStat | undefined {
  try {
    return parseTaskStat(readFileSync(`${host.procPath}/${pid}/stat`, "utf8"));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ESRCH")) host.skipped("stat of a process", error);
    return undefined;
  }
}

export interface TaskStat {
  readonly name: string;
  readonly state: string;
  readonly startTicks: number;
}

/** proc_pid_stat(5): the name, in parentheses, may hold anything, so counting starts behind the last one. */
export function parseTaskStat(text: string): TaskStat {
  const end = text.lastIndexOf(")");
  const words = text.slice(end + 2).split(" ", 20);
  return {
    name: text.slice(text.indexOf("(") + 1, end),
    state: words[0] ?? "",
    startTicks: parseNumber(words[19]),
  };
}
