import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, type GradeInput } from "../builtin.ts";
import { type Gpu, readable, readGpus } from "./gpus.ts";

/** As dcgm-exporter names them, before DCGM 4.6 and since. */
const coreFamilies = ["DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_TEMP_CELSIUS"];
const memoryFamilies = ["DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_MEMORY_TEMP_CELSIUS"];

export const gpuTemperature = defineBuiltin({
  name: "gpu_temperature",
  description: "How far the GPUs and their memory are from the temperatures at which they protect themselves.",
  explanation: [
    "Every GPU comes with its own limits: what it may have in operation, where it slows down, where it switches itself " +
      "off, and what its memory (HBM) may have. Above the first it wears out faster, at the second jobs crawl " +
      "(gpu_throttling), at the third everything on it is lost.",
    "Look at the fans, the blanks of empty slots, dust, and the temperature of the air in front of the node; one hot GPU " +
      "among cool ones points at its heat sink. A GPU without a limit of its own is not judged by it, and none is judged " +
      "where the dcgm-exporter file of this node leaves its temperature out.",
  ],
  source: "nvidia",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      warning_margin_celsius: t.Number({
        default: 0,
        minimum: 0,
        description: "Distance to the slowdown temperature, and of the memory to its maximum, that is a warning.",
      }),
      critical_margin_celsius: t.Number({
        default: 1,
        minimum: 0,
        description: "Distance to the temperature at which the GPU switches itself off that is critical.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const gpus = readable(readGpus(samples)).map((gpu) => ({
      gpu,
      core: hottest(samples, coreFamilies, gpu),
      memory: hottest(samples, memoryFamilies, gpu),
    }));
    const told = gpus.flatMap(({ core }) => core ?? []);
    if (told.length === 0) return { findings: [], summary: "", absent: "no GPU that tells its temperature" };
    const findings = gpus.flatMap(({ gpu, core, memory }) => [
      ...(core === undefined ? [] : judgeCore(gpu, core, parameters)),
      ...(memory === undefined ? [] : judgeMemory(gpu, memory, parameters)),
    ]);
    return { findings, summary: `${count(told.length, "GPU")}, the hottest at ${Math.max(...told)} °C` };
  },
});

interface Margins {
  readonly warning_margin_celsius: number;
  readonly critical_margin_celsius: number;
}

/** A GPU in MIG mode has the series of each instance; all tell the temperature of the GPU. */
function hottest(samples: GradeInput<unknown>["samples"], families: readonly string[], gpu: Gpu): number | undefined {
  const values = families
    .flatMap(samples)
    .flatMap(({ labels, value }) => ((labels["UUID"] ?? labels["uuid"]) === gpu.uuid ? value : []));
  return values.length === 0 ? undefined : Math.max(...values);
}

/** Drivers give 0 for a limit that the GPU does not have. */
function limitOf({ value }: Gpu, threshold: string): number {
  return value("aami_gpu_temperature_threshold_celsius", { threshold }) || Number.POSITIVE_INFINITY;
}

function judgeCore(gpu: Gpu, celsius: number, margins: Margins): Finding[] {
  const [shutdown, slowdown, most] = ["shutdown", "slowdown", "gpu_max"].map((name) => limitOf(gpu, name));
  const { warning_margin_celsius: warning, critical_margin_celsius: critical } = margins;
  const say = (status: "warning" | "critical", words: string): Finding[] => {
    return [{ status, subject: gpu.name, summary: `${celsius} °C, ${words}`, action: "inspect_hardware" }];
  };
  if (shutdown !== undefined && shutdown - celsius <= critical) {
    return say("critical", `it switches itself off at ${shutdown} °C`);
  }
  if (slowdown !== undefined && slowdown - celsius <= warning) return say("warning", `it slows down at ${slowdown} °C`);
  if (most !== undefined && celsius > most) return say("warning", `its maximum in operation is ${most} °C`);
  return [];
}

function judgeMemory(gpu: Gpu, celsius: number, { warning_margin_celsius: margin }: Margins): Finding[] {
  const most = limitOf(gpu, "memory_max");
  if (celsius <= most - margin) return [];
  const summary = `its memory has ${celsius} °C, the maximum is ${most} °C`;
  return [{ status: "warning", subject: gpu.name, summary, action: "inspect_hardware" }];
}
