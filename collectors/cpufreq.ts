import { Type } from "@sinclair/typebox";
import { readFile } from "node:fs/promises";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listIfPresent, parseDecimal, readAttribute, readNumber } from "./read.ts";

/** Frequencies by attribute of /sys/devices/system/cpu/cpu*\/cpufreq, all in kHz. */
const limits: Readonly<Record<string, FamilyHead>> = {
  cpuinfo_min_freq: gauge("node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
  cpuinfo_max_freq: gauge("node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
  scaling_min_freq: gauge("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
  scaling_max_freq: gauge("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
};
const measured: Readonly<Record<string, FamilyHead>> = {
  cpuinfo_cur_freq: gauge("node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
  cpuinfo_avg_freq: gauge("node_cpu_frequency_avg_hertz", "Average CPU thread frequency in hertz."),
  scaling_cur_freq: gauge("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
};
const governor = gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.");

/** Kernels before 5.18 sleep 10 ms in each read of a current frequency: seconds on a large machine, so such reads overlap. */
const slowReadMilliseconds = 1;

interface Cpu {
  readonly cpu: string;
  readonly path: string;
}

export const cpufreq = defineCollector({
  name: "cpufreq",
  description: "Frequency, limits and governor of each CPU.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const cpus = listCpus(host);
      // One driver serves all CPUs, so all have the attributes and the choice of governors of the first.
      const present = new Set(cpus.slice(0, 1).flatMap(({ path }) => listIfPresent(path)));
      const governors = present.has("scaling_governor") ? readGovernors(host, cpus[0]) : [];
      for (const cpu of cpus) addSettings(host, families, cpu, present, governors);
      const waiting = Object.entries(measured)
        .filter(([attribute]) => present.has(attribute))
        .map(([attribute, family]) => addMeasured(host, families, cpus, attribute, family));
      await Promise.all(waiting);
      return families.list();
    },
  }),
});

function listCpus(host: Host): Cpu[] {
  const folder = `${host.sysPath}/devices/system/cpu`;
  const numbers = listIfPresent(folder).flatMap((entry) => /^cpu(\d+)$/.exec(entry)?.[1] ?? []);
  if (numbers.length === 0) throw new NoDataError("no CPUs in sysfs");
  const offline = parseCpuList(readAttribute(host, `${folder}/offline`) ?? "");
  return numbers
    .filter((cpu) => !offline.has(Number(cpu)))
    .map((cpu) => ({ cpu, path: `${folder}/cpu${cpu}/cpufreq` }));
}

/** "2,4-6" as in Documentation/admin-guide/cputopology.rst of the kernel. */
export function parseCpuList(text: string): Set<number> {
  const cpus = new Set<number>();
  for (const range of text.trim().split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    for (let cpu = Number(first); cpu <= Number(last); cpu += 1) cpus.add(cpu);
  }
  return cpus;
}

function readGovernors(host: Host, first: Cpu | undefined): string[] {
  const text = first === undefined ? undefined : readAttribute(host, `${first.path}/scaling_available_governors`);
  return (text ?? "").split(" ").filter((name) => name !== "");
}

function addSettings(
  host: Host,
  families: FamilySet,
  { cpu, path }: Cpu,
  present: ReadonlySet<string>,
  available: readonly string[],
): void {
  for (const [attribute, family] of Object.entries(limits)) {
    if (present.has(attribute)) families.add(family, { cpu }, toHertz(readNumber(host, `${path}/${attribute}`)));
  }
  const current = available.length === 0 ? undefined : readAttribute(host, `${path}/scaling_governor`);
  if (current === undefined) return;
  for (const name of available) families.add(governor, { cpu, governor: name }, Number(name === current));
}

async function addMeasured(
  host: Host,
  families: FamilySet,
  cpus: readonly Cpu[],
  attribute: string,
  family: FamilyHead,
): Promise<void> {
  const waiting: Promise<void>[] = [];
  let slow = false;
  for (const { cpu, path } of cpus) {
    const file = `${path}/${attribute}`;
    if (slow) {
      waiting.push(
        readFile(file, "utf8").then(
          (text) => families.add(family, { cpu }, toHertz(parseDecimal(text))),
          (error: unknown) => host.skipped(file, error),
        ),
      );
    } else {
      const start = performance.now();
      families.add(family, { cpu }, toHertz(readNumber(host, file)));
      slow = performance.now() - start > slowReadMilliseconds;
    }
  }
  await Promise.all(waiting);
}

function toHertz(kilohertz: number | undefined): number | undefined {
  return kilohertz === undefined ? undefined : kilohertz * 1000;
}
