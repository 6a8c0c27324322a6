import type { FamilySet } from "./families.ts";
import { parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";

/** `flags` and `bugs` say which words of these fields are published; undefined publishes none. */
export interface CpuInfoReading {
  readonly flags: { test(text: string): boolean } | undefined;
  readonly bugs: { test(text: string): boolean } | undefined;
  readonly host: Pick<Host, "skipped">;
}

/** The fields of one logical CPU by /proc/cpuinfo's own keys. */
export type CpuFields = ReadonlyMap<string, string>;

/** One block per logical CPU, each beginning with a `processor` line (x86, arm64, POWER, RISC-V); blank lines between. */
export function parseCpuInfo(text: string): CpuFields[] {
  const cpus: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (line.trim() === "") current = undefined;
    if (colon < 0) continue;
    const key = line.slice(0, colon).trim();
    if (key === "processor") cpus.push((current = new Map()));
    current?.set(key, line.slice(colon + 1).replace(/^ /, ""));
  }
  return cpus;
}

export function addCpuInfo(out: FamilySet, text: string, filter: CpuInfoReading): void {
  const cpus = parseCpuInfo(text);
  for (const fields of cpus) {
    const field = (key: string): string => fields.get(key) ?? "";
    const place = { package: field("physical id"), core: field("core id"), cpu: field("processor") };
    const labels = {
      ...place,
      vendor: field("vendor_id"),
      family: field("cpu family"),
      model: field("model"),
      model_name: field("model name"),
      microcode: field("microcode"),
      stepping: field("stepping"),
      cachesize: field("cache size"),
    };
    out.gauge("node_cpu_info", "CPU information from /proc/cpuinfo.", 1, labels);
    try {
      // arm64 has no such line; node_exporter then publishes 0.
      const hertz = fields.has("cpu MHz") ? parseNumber(field("cpu MHz")) * 1e6 : 0;
      out.gauge("node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.", hertz, place);
    } catch (error) {
      filter.host.skipped(`frequency of cpu${place.cpu} in cpuinfo`, error);
    }
  }
  addWords(out, "flag", filter.flags, cpus[0]?.get("flags") ?? cpus[0]?.get("Features"));
  addWords(out, "bug", filter.bugs, cpus[0]?.get("bugs"));
}

function addWords(
  out: FamilySet,
  kind: "flag" | "bug",
  filter: CpuInfoReading["flags"],
  words: string | undefined,
): void {
  if (filter === undefined) return;
  const help = `The \`${kind}s\` field of CPU information from /proc/cpuinfo taken from the first core.`;
  for (const word of splitFields(words ?? "")) {
    if (filter.test(word)) out.gauge(`node_cpu_${kind}_info`, help, 1, { [kind]: word });
  }
}
