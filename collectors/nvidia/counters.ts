import type { MetricType } from "../collector.ts";
import { dcgmFields, labelFields } from "./dcgm-fields.ts";

/** One line of dcgm-exporter's counters file. */
export interface Counter {
  readonly field: string;
  readonly type: MetricType;
  readonly help: string;
}

export interface Counters {
  readonly counters: readonly Counter[];
  /** Fields told as labels of every series, under the name they were asked for. */
  readonly labels: readonly string[];
}

/** dcgm-exporter's default list, in its words. */
export const defaultCounters: Counters = {
  labels: ["DCGM_FI_DRIVER_VERSION"],
  counters: [
    { field: "DCGM_FI_DEV_SM_CLOCK", type: "gauge", help: "SM clock frequency (in MHz)." },
    { field: "DCGM_FI_DEV_MEM_CLOCK", type: "gauge", help: "Memory clock frequency (in MHz)." },
    { field: "DCGM_FI_DEV_MEMORY_TEMP", type: "gauge", help: "Memory temperature (in C)." },
    { field: "DCGM_FI_DEV_GPU_TEMP", type: "gauge", help: "GPU temperature (in C)." },
    { field: "DCGM_FI_DEV_POWER_USAGE", type: "gauge", help: "Power draw (in W)." },
    {
      field: "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
      type: "counter",
      help: "Total energy consumption since boot (in mJ).",
    },
    { field: "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", type: "counter", help: "Total number of PCIe retries." },
    { field: "DCGM_FI_DEV_GPU_UTIL", type: "gauge", help: "GPU utilization (in %)." },
    { field: "DCGM_FI_DEV_MEM_COPY_UTIL", type: "gauge", help: "Memory utilization (in %)." },
    { field: "DCGM_FI_DEV_ENC_UTIL", type: "gauge", help: "Encoder utilization (in %)." },
    { field: "DCGM_FI_DEV_DEC_UTIL", type: "gauge", help: "Decoder utilization (in %)." },
    { field: "DCGM_FI_DEV_XID_ERRORS", type: "gauge", help: "Value of the last XID error encountered." },
    { field: "DCGM_FI_DEV_FB_FREE", type: "gauge", help: "Framebuffer memory free (in MiB)." },
    { field: "DCGM_FI_DEV_FB_USED", type: "gauge", help: "Framebuffer memory used (in MiB)." },
    { field: "DCGM_FI_DEV_FB_RESERVED", type: "gauge", help: "Framebuffer memory reserved (in MiB)." },
    {
      field: "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
      type: "counter",
      help: "Number of remapped rows for uncorrectable errors",
    },
    {
      field: "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
      type: "counter",
      help: "Number of remapped rows for correctable errors",
    },
    { field: "DCGM_FI_DEV_ROW_REMAP_FAILURE", type: "gauge", help: "Whether remapping of rows has failed" },
    {
      field: "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
      type: "counter",
      help: "Total number of NVLink bandwidth counters for all lanes.",
    },
    { field: "DCGM_FI_DEV_VGPU_LICENSE_STATUS", type: "gauge", help: "vGPU License status" },
    { field: "DCGM_FI_PROF_GR_ENGINE_ACTIVE", type: "gauge", help: "Ratio of time the graphics engine is active." },
    {
      field: "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
      type: "gauge",
      help: "Ratio of cycles the tensor (HMMA) pipe is active.",
    },
    {
      field: "DCGM_FI_PROF_DRAM_ACTIVE",
      type: "gauge",
      help: "Ratio of cycles the device memory interface is active sending or receiving data.",
    },
    {
      field: "DCGM_FI_PROF_PCIE_TX_BYTES",
      type: "gauge",
      help: "The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - in bytes per second.",
    },
    {
      field: "DCGM_FI_PROF_PCIE_RX_BYTES",
      type: "gauge",
      help: "The rate of data received over the PCIe bus - including both protocol headers and data payloads - in bytes per second.",
    },
  ],
};

/** What is counted over a window rather than read. */
export const windowCounters = {
  xids: "DCGM_EXP_XID_ERRORS_COUNT",
  clockEvents: "DCGM_EXP_CLOCK_EVENTS_COUNT",
} as const;
export const xidFields: readonly string[] = ["DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_XID_ERROR"];

export interface ParsedCounters extends Counters {
  /** Lines that are left out, and why. */
  readonly problems: readonly { readonly line: number; readonly text: string; readonly reason: string }[];
}

/** A counters file of dcgm-exporter: "FIELD, type, help" a line, # for comments. */
export function parseCounters(text: string): ParsedCounters {
  const counters: Counter[] = [];
  const labels: string[] = [];
  const problems: { line: number; text: string; reason: string }[] = [];
  text.split(/\r?\n/).forEach((source, index) => {
    if (source.trim() === "" || source.trimStart().startsWith("#")) return;
    const result = parseLine(source);
    if ("reason" in result)
      problems.push({ line: index + 1, text: source.trim().slice(0, 200), reason: result.reason });
    else if (result.type === "label") labels.push(result.field);
    else if (!counters.some(({ field }) => field === result.field)) counters.push({ ...result, type: result.type });
  });
  return { counters, labels: [...new Set(labels)], problems };
}

type Line = { readonly field: string; readonly type: MetricType | "label"; readonly help: string };

/** dcgm-exporter accepts two more types, which a single value cannot have. */
const types: Readonly<Record<string, MetricType | "label">> = {
  gauge: "gauge",
  counter: "counter",
  label: "label",
  histogram: "untyped",
  summary: "untyped",
};

function parseLine(source: string): Line | { readonly reason: string } {
  const [field = "", typeName = "", ...rest] = source.split(",");
  const name = field.trim();
  const type = types[typeName.trim()];
  const help = unquote(rest.join(",").trim());
  if (rest.length === 0) return { reason: "a line has three parts: field, type, help" };
  if (type === undefined) return { reason: `"${typeName.trim()}" is no type` };
  if (type === "label" ? !labelFields.has(name) : !isReadable(name)) return { reason: "NVML does not tell this field" };
  return { field: name, type, help };
}

function isReadable(name: string): boolean {
  return dcgmFields.has(name) || xidFields.includes(name) || Object.values<string>(windowCounters).includes(name);
}

function unquote(text: string): string {
  return /^".*"$/s.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text;
}
