import { type Static, Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { parseCpuList } from "./cpufreq.ts";
import { type CpuTopology, createTopologyReader } from "./cpu-topology.ts";
import { addCpuInfo } from "./cpu-info.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "./families.ts";
import { parseIntegers, parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { readAttribute, readNumber, readText } from "./read.ts";
import { remember } from "./remember.ts";

const Options = Type.Object(
  {
    guest: Type.Boolean({
      default: true,
      flag: "collector.cpu.guest",
      description: "Publish node_cpu_guest_seconds_total.",
    }),
    info: Type.Boolean({ default: false, flag: "collector.cpu.info", description: "Publish node_cpu_info." }),
    info_flags_include: Type.String({
      default: "",
      flag: "collector.cpu.info.flags-include",
      description: "Regexp of the CPU flags to publish as node_cpu_flag_info; switches info on.",
    }),
    info_bugs_include: Type.String({
      default: "",
      flag: "collector.cpu.info.bugs-include",
      description: "Regexp of the CPU bugs to publish as node_cpu_bug_info; switches info on.",
    }),
  },
  { additionalProperties: false },
);

/** CPU time per mode from /proc/stat, throttling, isolation and online state from sysfs, models from /proc/cpuinfo. */
export const cpu = defineCollector({
  name: "cpu",
  description: "CPU time per mode, throttling, online state and, when asked for, models, flags and bugs.",
  enabledByDefault: true,
  options: Options,
  create: (options) => {
    const readTopology = createTopologyReader();
    const keepRising = createRisingTimes();
    const info = createInfoFilter(options);
    return {
      collect: async (host) => {
        const out = createFamilySet();
        if (info !== undefined)
          addCpuInfo(out, readAttribute(host, `${host.procPath}/cpuinfo`) ?? "", { ...info, host });
        addCpuTimes(out, keepRising(parseCpuTimes(readText(`${host.procPath}/stat`), host)), options.guest);
        const topology = readTopology(host);
        for (const number of topology.isolated) {
          const help = "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
          out.gauge("node_cpu_isolated", help, 1, { cpu: String(number) });
        }
        addThrottles(out, topology, host);
        addOnline(out, topology, host);
        return out.list();
      },
    };
  },
});

function createInfoFilter(options: Static<typeof Options>) {
  const { info, info_flags_include: flags, info_bugs_include: bugs } = options;
  if (!info && flags === "" && bugs === "") return undefined;
  return {
    flags: flags === "" ? undefined : compilePattern(flags, "--collector.cpu.info.flags-include"),
    bugs: bugs === "" ? undefined : compilePattern(bugs, "--collector.cpu.info.bugs-include"),
  };
}

const cpuSeconds = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
const guestSeconds = counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");
const cpuOnline = gauge("node_cpu_online", "CPUs that are online and being scheduled.");

const modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] as const;
const idleMode = modes.indexOf("idle");
/** USER_HZ: what the kernel shows to user space, whatever CONFIG_HZ is. */
const ticksPerSecond = 100;

/** Seconds by CPU number: the eight modes, then guest and guest_nice; a kernel that prints fewer gives 0 for the rest. */
export type CpuTimes = Map<string, number[]>;

export function parseCpuTimes(text: string, host: Pick<Host, "skipped">): CpuTimes {
  const times: CpuTimes = new Map();
  // The cpu lines come first; what follows them (intr above all) is long and not looked at.
  for (let start = 0; start < text.length && !text.startsWith("intr", start);) {
    const end = text.indexOf("\n", start);
    const line = text.slice(start, end < 0 ? undefined : end);
    start = end < 0 ? text.length : end + 1;
    const blank = line.indexOf(" ");
    const name = blank < 0 ? line : line.slice(0, blank);
    if (name === "cpu") continue;
    try {
      if (!name.startsWith("cpu")) throw new Error(`unexpected line ${line.slice(0, 40)}`);
      const ticks = parseIntegers(line, name.length) ?? splitFields(line).slice(1, 11).map(parseNumber);
      const seconds: number[] = [];
      for (let index = 0; index < 10; index++) seconds.push((ticks[index] ?? 0) / ticksPerSecond);
      times.set(String(parseNumber(name.slice(3))), seconds);
    } catch (error) {
      host.skipped(name.startsWith("cpu") ? `${name} in stat` : "a line of stat", error);
    }
  }
  return times;
}

/**
 * The kernel's per-CPU idle and iowait counters may step back a little. A counter must not, so each keeps its highest
 * value, until idle falls by 3 s or more: then the CPU was unplugged and plugged in again and starts anew. Changes what
 * it is given.
 */
export function createRisingTimes(): (read: CpuTimes) => CpuTimes {
  let known: CpuTimes = new Map();
  return (read) => {
    for (const [number, seconds] of read) {
      const before = known.get(number);
      if (before === undefined || (before[idleMode] ?? 0) - (seconds[idleMode] ?? 0) >= 3) continue;
      for (const [index, value] of before.entries()) seconds[index] = Math.max(seconds[index] ?? 0, value);
    }
    known = read;
    return read;
  };
}

const labelsOf = remember((cpu) => ({ cpu }));
const labelsByMode = remember((cpu) => modes.map((mode) => ({ cpu, mode })));

function addCpuTimes(out: FamilySet, times: CpuTimes, guest: boolean): void {
  for (const [cpu, seconds] of times) {
    const labels = labelsByMode(cpu);
    for (let index = 0; index < modes.length; index++) out.add(cpuSeconds, labels[index] ?? {}, seconds[index]);
    if (!guest) continue;
    // Guest time is also counted in user and nice.
    out.add(guestSeconds, labels[0] ?? {}, seconds[8]);
    out.add(guestSeconds, labels[1] ?? {}, seconds[9]);
  }
}

function addThrottles(out: FamilySet, topology: CpuTopology, host: Host): void {
  for (const { path, labels, name, help } of topology.throttleCounts) {
    out.counter(name, help, readNumber(host, path), labels);
  }
}

function addOnline(out: FamilySet, topology: CpuTopology, host: Host): void {
  if (!topology.hotplug) return;
  const online = readAttribute(host, `${host.sysPath}/devices/system/cpu/online`);
  if (online === undefined) return;
  const numbers = parseCpuList(online);
  for (const number of topology.numbers) out.add(cpuOnline, labelsOf(String(number)), numbers.has(number) ? 1 : 0);
}
