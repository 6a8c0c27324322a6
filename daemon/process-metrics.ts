import { readdirSync, statSync } from "node:fs";
import { pageSizeBytes } from "../collectors/libc.ts";
import { readText } from "../collectors/read.ts";
import type { MetricFamily } from "../collectors/collector.ts";
import type { PageSource } from "./scrape/reading.ts";

/** The process_* families of every Prometheus client, for this process. /proc/self never blocks. */
export function createProcessSource(procSelf = "/proc/self"): PageSource {
  const ticksPerSecond = 100; // USER_HZ, the same on every architecture that Linux runs Bun on
  const pageBytes = pageSizeBytes();
  const limits = readLimits(readText(`${procSelf}/limits`));
  const bootSeconds = Number(/^btime (\d+)/m.exec(readText("/proc/stat"))?.[1] ?? Number.NaN);
  const gauge = toFamily("gauge");
  const counter = toFamily("counter");
  return {
    families: () => {
      const { userTicks, systemTicks, startTicks, virtualBytes, residentPages } = readStat(
        readText(`${procSelf}/stat`),
      );
      const cpuSeconds = (userTicks + systemTicks) / ticksPerSecond;
      return [
        counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", cpuSeconds),
        gauge("process_max_fds", "Maximum number of open file descriptors.", limits.openFiles),
        gauge("process_open_fds", "Number of open file descriptors.", countFiles(`${procSelf}/fd`)),
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", residentPages * pageBytes),
        gauge(
          "process_start_time_seconds",
          "Start time of the process since unix epoch in seconds.",
          bootSeconds + startTicks / ticksPerSecond,
        ),
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtualBytes),
        gauge(
          "process_virtual_memory_max_bytes",
          "Maximum amount of virtual memory available in bytes.",
          limits.addressSpace,
        ),
      ];
    },
  };
}

function toFamily(type: "gauge" | "counter"): (name: string, help: string, value: number) => MetricFamily {
  return (name, help, value) => ({ name, help, type, samples: [{ labels: {}, value }] });
}

/** Linux 6.2 and later tell the number as the size of the folder. */
function countFiles(folder: string): number {
  const { size } = statSync(folder);
  // One of the descriptors is then the folder being read.
  return size > 0 ? size : readdirSync(folder).length - 1;
}

/** proc_pid_stat(5). The name in parentheses may hold spaces and parentheses of its own. */
function readStat(
  text: string,
): Record<"userTicks" | "systemTicks" | "startTicks" | "virtualBytes" | "residentPages", number> {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    userTicks: field(14),
    systemTicks: field(15),
    startTicks: field(22),
    virtualBytes: field(23),
    residentPages: field(24),
  };
}

function readLimits(text: string): { openFiles: number; addressSpace: number } {
  // client_golang publishes "unlimited" as 2^64 - 1.
  const soft = (name: string): number => {
    const value = new RegExp(`^${name} +(\\S+)`, "m").exec(text)?.[1];
    return value === "unlimited" ? 2 ** 64 : Number(value ?? Number.NaN);
  };
  return { openFiles: soft("Max open files"), addressSpace: soft("Max address space") };
}
