import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { defineBuiltin, timeOf } from "./builtin.ts";
import { escalate, type Fault, FaultMemory, listFaults, mergeFaults } from "./faults.ts";

const Memory = t.Object({
  bootId: t.String(),
  /** By process and start time, so that a number used again is another process. */
  lookedAt: t.Number(),
  /** `missed`: looks since it was last seen waiting. */
  tasks: t.Record(t.String(), t.Object({ since: t.Number(), missed: t.Number() })),
  /** Drivers' processes that hung, by name. */
  faults: FaultMemory,
});
type Tasks = Static<typeof Memory>["tasks"];

/** A process may be caught awake between two long waits; that does not start its time anew. */
const toleratedLooks = 1;
/** After longer without a look nobody knows what has been in between. */
const longestGapSeconds = 3600;
const mostListed = 20;
/** Programs that wait for nothing but the GPU driver. */
const driver = /^(nvidia|nv-|dcgm)/;

export const dState = defineBuiltin({
  name: "d_state",
  description: "Processes that wait in the kernel for minutes and cannot be killed (state D).",
  explanation: [
    "A process in state D waits for a device or a server inside a system call; no signal reaches it. For seconds that " +
      "is normal disk work. For minutes it means a hung NFS or Lustre server, a disk in error recovery, or a driver " +
      "that has lost its GPU.",
    "`cat /proc/PID/stack` (as root) says what it waits for. nv… or uvm… functions: the GPU driver hangs, and only a " +
      "reboot ends it. nfs… or rpc…: bring the server back and it goes on by itself.",
  ],
  source: "task_states",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      minimum_seconds: t.Number({ default: 300, minimum: 60, description: "Time in state D that is a finding." }),
      ignore: t.Array(t.String(), {
        default: [],
        description: "Names of processes that may wait for as long as they like.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId = "" }) => {
    const isKnown =
      Value.Check(Memory, memory) && memory.bootId === bootId && nowSeconds - memory.lookedAt <= longestGapSeconds;
    const before: Tasks = isKnown ? memory.tasks : {};
    const blocked = new Map(samples("aami_task_blocked_start_ticks").map((sample) => [keyOf(sample), sample]));
    const tasks: Tasks = {};
    for (const [key, { since, missed }] of Object.entries(before)) {
      if (missed < toleratedLooks) tasks[key] = { since, missed: missed + 1 };
    }
    for (const key of blocked.keys()) tasks[key] = { since: before[key]?.since ?? nowSeconds, missed: 0 };
    const waiting = [...blocked].map(([key, { labels }]): Waiting => {
      const { pid = "", name = "" } = labels;
      return { pid, name, since: tasks[key]?.since ?? nowSeconds, isDriver: driver.test(name) };
    });
    const long = waiting
      .filter(
        ({ name, since }) => nowSeconds - since >= parameters.minimum_seconds && !parameters.ignore.includes(name),
      )
      .toSorted((a, b) => Number(b.isDriver) - Number(a.isDriver) || a.since - b.since);
    const times = { nowSeconds, bootId };
    const hung = new Set(long.filter(({ isDriver }) => isDriver).map(({ name }) => name));
    const faults = mergeFaults(
      Value.Check(Memory, memory) ? memory.faults : {},
      [...hung].map((key) => ({ key, lastSeconds: nowSeconds, count: 1 })),
      times,
    );
    const history = new Map(listFaults(faults, times).map((fault) => [fault.key, fault]));
    const findings = long.slice(0, mostListed).map((task) => toFinding(task, history.get(task.name)));
    const summary = `${blocked.size} in uninterruptible sleep just now, none for long`;
    return { findings, summary, memory: { bootId, lookedAt: nowSeconds, tasks, faults } };
  },
});

interface Waiting {
  readonly pid: string;
  readonly name: string;
  /** A look found it waiting. */
  readonly since: number;
  readonly isDriver: boolean;
}

function toFinding({ pid, name, since, isDriver }: Waiting, fault: Fault | undefined): Finding {
  const subject = `${name} (pid ${pid})`;
  const summary = `seen in uninterruptible sleep since ${timeOf(since)}`;
  if (!isDriver) return { status: "warning", subject, summary, action: "check_storage" };
  const action = fault === undefined ? "reboot" : escalate(fault, "reboot");
  return { status: "critical", subject, summary, action };
}

function keyOf({ labels, value }: Sample): string {
  return `${labels["pid"] ?? ""} ${value}`;
}
