import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet } from "./families.ts";
import { parseIntegers, parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { detectPath, readText } from "./read.ts";
import { remember } from "./remember.ts";

/** Scheduler statistics per CPU, Documentation/scheduler/sched-stats.rst; needs CONFIG_SCHEDSTATS. */
export const schedstat = defineCollector({
  name: "schedstat",
  description: "Time that tasks ran and waited per CPU from /proc/schedstat.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ procPath }) => detectPath(`${procPath}/schedstat`, "no /proc/schedstat"),
    collect: async (host) => parseSchedstat(readText(`${host.procPath}/schedstat`), host),
  }),
});

const nanosecondsPerSecond = 1e9;
const waitingSeconds = counter(
  "node_schedstat_waiting_seconds_total",
  "Number of seconds spent by processing waiting for this CPU.",
);
const runningSeconds = counter(
  "node_schedstat_running_seconds_total",
  "Number of seconds CPU spent running a process.",
);
const timeslices = counter("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.");
const labelsOf = remember((cpu) => ({ cpu }));

/** Of a `cpuN` line the last three of nine numbers: running and waiting time in nanoseconds, time slices. */
export function parseSchedstat(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of text.split("\n")) {
    if (!line.startsWith("cpu")) continue;
    const blank = line.indexOf(" ");
    const cpu = line.slice(3, blank < 0 ? undefined : blank).trimEnd();
    try {
      const numbers =
        parseIntegers(line, 3 + cpu.length)?.slice(6) ?? line.trimEnd().split(" ").slice(7, 10).map(parseNumber);
      const [running, waiting, slices] = numbers;
      if (running === undefined || waiting === undefined || slices === undefined)
        throw new Error("fewer than 9 numbers");
      const labels = labelsOf(cpu);
      out.add(waitingSeconds, labels, waiting / nanosecondsPerSecond);
      out.add(runningSeconds, labels, running / nanosecondsPerSecond);
      out.add(timeslices, labels, slices);
    } catch (error) {
      host.skipped(`cpu${cpu} in schedstat`, error);
    }
  }
  return out.list();
}
