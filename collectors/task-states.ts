import { Type } from "@sinclair/typebox";
import { readdirSync, readFileSync } from "node:fs";
import { defineCollector } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { isErrno } from "./read.ts";

const blocked = gauge(
  "aami_task_blocked_start_ticks",
  "Start time, in clock ticks since boot, of a process in uninterruptible sleep.",
);
const counts = gauge("aami_task_state_processes", "Processes in this state.");

/** Of a machine on which everything waits for one server, some are enough. */
const mostBlocked = 500;

/** /proc/PID/stat of every process, for the checks d_state and zombies: thousands of files, so no page has it. */
export const taskStates = {
  ...defineCollector({
    name: "task_states",
    description: "Processes in uninterruptible sleep and zombies, for the checks d_state and zombies.",
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
        return set.list();
      },
    }),
  }),
  forChecks: true,
} as const;

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
