import { Type } from "@sinclair/typebox";
import { readFile } from "node:fs/promises";
import { defineCollector, type Labels, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listAttributes, listIfPresent, parseDecimal, readAttribute, readNumber } from "./read.ts";
import { rememberLatest } from "./remember.ts";

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
  readonly labels: Labels;
  readonly path: string;
}

/** A file that holds the number of one series. */
interface Attribute {
  readonly family: FamilyHead;
  readonly labels: Labels;
  readonly path: string;
}

/** The file that names the governor in force, and the series of each that there is. */
interface Governors {
  readonly path: string;
  readonly series: readonly { readonly name: string; readonly labels: Labels }[];
}

/** What is to be read: thousands of files on a large machine, so that it is laid out once and kept. */
interface Layout {
  readonly limits: readonly Attribute[];
  readonly governors: readonly Governors[];
  /** The CPUs' files of one attribute each. */
  readonly measured: readonly (readonly Attribute[])[];
}

export const cpufreq = defineCollector({
  name: "cpufreq",
  description: "Frequency, limits and governor of each CPU.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => {
    const readLayout = createLayoutReader();
    return {
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        const { limits, governors, measured } = readLayout(host);
        for (const { family, labels, path } of limits) families.add(family, labels, toHertz(readNumber(host, path)));
        for (const { path, series } of governors) {
          const current = readAttribute(host, path);
          if (current === undefined) continue;
          for (const { name, labels } of series) families.add(governor, labels, Number(name === current));
        }
        await Promise.all(measured.map((attributes) => addMeasured(host, families, attributes)));
        return families.list();
      },
    };
  },
});

function createLayoutReader(): (host: Host) => Layout {
  const latestCpus = rememberLatest<Cpu[]>();
  const latestLayout = rememberLatest<Layout>();
  return (host) => {
    const folder = `${host.sysPath}/devices/system/cpu`;
    const entries = listIfPresent(folder);
    const offline = readAttribute(host, `${folder}/offline`) ?? "";
    const cpus = latestCpus([...entries, offline], () => listCpus(folder, entries, parseCpuList(offline)));
    // One driver serves all CPUs, so all have the attributes and the choice of governors of the first.
    const first = cpus[0]?.path ?? "";
    const present = listAttributes(first);
    const available = present.includes("scaling_governor")
      ? (readAttribute(host, `${first}/scaling_available_governors`) ?? "")
      : "";
    return latestLayout([cpus, present, available], () => layOut(cpus, new Set(present), available));
  };
}

function listCpus(folder: string, entries: readonly string[], offline: ReadonlySet<number>): Cpu[] {
  const numbers = entries.flatMap((entry) => /^cpu(\d+)$/.exec(entry)?.[1] ?? []);
  if (numbers.length === 0) throw new NoDataError("no CPUs in sysfs");
  return numbers
    .filter((cpu) => !offline.has(Number(cpu)))
    .map((cpu) => ({ labels: { cpu }, path: `${folder}/cpu${cpu}/cpufreq` }));
}

function layOut(cpus: readonly Cpu[], present: ReadonlySet<string>, available: string): Layout {
  const filesOf = (families: Readonly<Record<string, FamilyHead>>): Attribute[][] =>
    Object.entries(families)
      .filter(([attribute]) => present.has(attribute))
      .map(([attribute, family]) => cpus.map(({ labels, path }) => ({ family, labels, path: `${path}/${attribute}` })));
  const names = available.split(" ").filter((name) => name !== "");
  const governorsOf = ({ labels, path }: Cpu): Governors => ({
    path: `${path}/scaling_governor`,
    series: names.map((name) => ({ name, labels: { ...labels, governor: name } })),
  });
  return {
    limits: filesOf(limits).flat(),
    governors: names.length === 0 ? [] : cpus.map(governorsOf),
    measured: filesOf(measured),
  };
}

/** Far above what Linux can be built for; a list that goes beyond is not worth being counted through. */
const mostCpus = 65_536;

/** "2,4-6" as in Documentation/admin-guide/cputopology.rst of the kernel. */
export function parseCpuList(text: string): Set<number> {
  const cpus = new Set<number>();
  for (const range of text.trim().split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (Number(last) >= mostCpus) continue;
    for (let cpu = Number(first); cpu <= Number(last); cpu += 1) cpus.add(cpu);
  }
  return cpus;
}

async function addMeasured(host: Host, families: FamilySet, attributes: readonly Attribute[]): Promise<void> {
  const waiting: Promise<void>[] = [];
  let slow = false;
  let before = performance.now();
  for (const { family, labels, path } of attributes) {
    if (slow) {
      waiting.push(
        readFile(path, "utf8").then(
          (text) => families.add(family, labels, toHertz(parseDecimal(text))),
          (error: unknown) => host.skipped(path, error),
        ),
      );
    } else {
      families.add(family, labels, toHertz(readNumber(host, path)));
      const now = performance.now();
      slow = now - before > slowReadMilliseconds;
      before = now;
    }
  }
  await Promise.all(waiting);
}

function toHertz(kilohertz: number | undefined): number | undefined {
  return kilohertz === undefined ? undefined : kilohertz * 1000;
}
