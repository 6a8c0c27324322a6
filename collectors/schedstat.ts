import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { detectPath, readText } from "./read.ts";

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

/** Of a `cpuN` line the last three of nine numbers: running and waiting time in nanoseconds, time slices. */
export function parseSchedstat(text: string, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  for (const line of text.split("\n")) {
    if (!line.startsWith("cpu")) continue;
    const words = line.trimEnd().split(" ");
    const cpu = (words[0] ?? "").slice(3);
    try {
      const running = parseNumber(words[7]) / nanosecondsPerSecond;
      const waiting = parseNumber(words[8]) / nanosecondsPerSecond;
      const slices = parseNumber(words[9]);
      const waitingHelp = "Number of seconds spent by processing waiting for this CPU.";
      out.counter("node_schedstat_waiting_seconds_total", waitingHelp, waiting, { cpu });
      const runningHelp = "Number of seconds CPU spent running a process.";
      out.counter("node_schedstat_running_seconds_total", runningHelp, running, { cpu });
      out.counter("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", slices, { cpu });
    } catch (error) {
      host.skipped(`cpu${cpu} in schedstat`, error);
    }
  }
  return out.list();
}
