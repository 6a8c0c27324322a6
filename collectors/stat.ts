import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { readText } from "./read.ts";

/** The kernel-wide counters of /proc/stat, see proc_stat(5); its CPU lines belong to the cpu collector. */
export const stat = defineCollector({
  name: "stat",
  description: "Boot time, forks, context switches, interrupts and process counts from /proc/stat.",
  enabledByDefault: true,
  options: Type.Object(
    {
      softirq: Type.Boolean({
        default: false,
        flag: "collector.stat.softirq",
        description: "Publish softirq calls per vector.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ softirq }) => ({
    collect: async (host) => parseStat(readText(`${host.procPath}/stat`), { softirq, host }),
  }),
});

const fields = [
  ["intr", "counter", "node_intr_total", "Total number of interrupts serviced."],
  ["ctxt", "counter", "node_context_switches_total", "Total number of context switches."],
  ["processes", "counter", "node_forks_total", "Total number of forks."],
  ["btime", "gauge", "node_boot_time_seconds", "Node boot time, in unixtime."],
  ["procs_running", "gauge", "node_procs_running", "Number of processes in runnable state."],
  ["procs_blocked", "gauge", "node_procs_blocked", "Number of processes blocked waiting for I/O to complete."],
] as const;

const vectors = ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

interface StatOptions {
  readonly softirq: boolean;
  readonly host: Pick<Host, "skipped">;
}

export function parseStat(text: string, { softirq, host }: StatOptions): MetricFamily[] {
  const out = createFamilySet();
  for (const [key, type, name, help] of fields) {
    try {
      // The first number of the intr line is the total; thousands may follow it.
      out[type](name, help, parseNumber(valuesOf(text, key, 1)[0]));
    } catch (error) {
      host.skipped(`${key} in stat`, error);
    }
  }
  if (!softirq) return out.list();
  try {
    const counts = valuesOf(text, "softirq", vectors.length + 1).slice(1);
    for (const [index, vector] of vectors.entries()) {
      out.counter("node_softirqs_total", "Number of softirq calls.", parseNumber(counts[index]), { vector });
    }
  } catch (error) {
    host.skipped("softirq in stat", error);
  }
  return out.list();
}

function valuesOf(text: string, key: string, limit: number): string[] {
  const at = text.indexOf(`\n${key} `);
  if (at < 0) return [];
  const start = at + key.length + 2;
  const end = text.indexOf("\n", start);
  return text.slice(start, end < 0 ? undefined : end).split(" ", limit);
}
