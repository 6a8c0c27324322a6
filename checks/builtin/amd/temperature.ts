import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin } from "../builtin.ts";
import { type AmdGpu, readableAmd } from "./gpus.ts";

const sensors = [
  ["edge", "gpu_edge_temperature", "at its edge"],
  ["junction", "gpu_junction_temperature", "at its hottest spot"],
  ["memory", "gpu_memory_temperature", "in its memory"],
] as const;

export const amdGpuTemperature = defineBuiltin({
  name: "amd_gpu_temperature",
  description: "How far AMD GPUs are from the temperatures at which they protect themselves.",
  explanation: [
    "The driver tells two limits for each sensor: at the critical one the firmware slows the GPU down, at the emergency " +
      "one it switches the GPU off, and everything on it is lost. A sensor without limits is not judged.",
    "Look at the fans, the blanks of empty slots, dust, and the temperature of the air in front of the node; one hot GPU " +
      "among cool ones points at its heat sink.",
  ],
  source: "amdgpu",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      warning_margin_celsius: t.Number({
        default: 0,
        minimum: 0,
        description: "Distance to the critical temperature of a sensor that is a warning.",
      }),
      critical_margin_celsius: t.Number({
        default: 1,
        minimum: 0,
        description: "Distance to the emergency temperature of a sensor that is critical.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const gpus = readableAmd(samples).filter(({ value }) => sensors.some(([, family]) => value(family) !== undefined));
    if (gpus.length === 0) return { findings: [], summary: "", absent: "no AMD GPU that tells its temperature" };
    const findings = gpus.flatMap((gpu) => judge(gpu, parameters));
    return { findings, summary: `${count(gpus.length, "GPU")} cool enough` };
  },
});

interface Margins {
  readonly warning_margin_celsius: number;
  readonly critical_margin_celsius: number;
}

function judge({ name: subject, value }: AmdGpu, margins: Margins): Finding[] {
  return sensors.flatMap(([sensor, family, where]): Finding[] => {
    const celsius = value(family);
    const limit = (threshold: string): number =>
      value("aami_amd_gpu_temperature_threshold_celsius", { sensor, threshold }) || Number.POSITIVE_INFINITY;
    if (celsius === undefined) return [];
    if (limit("emergency") - celsius <= margins.critical_margin_celsius) {
      const summary = `${celsius} °C ${where}, it switches itself off at ${limit("emergency")} °C`;
      return [{ status: "critical", subject, summary, action: "inspect_hardware" }];
    }
    if (limit("critical") - celsius > margins.warning_margin_celsius) return [];
    const summary = `${celsius} °C ${where}, it slows down at ${limit("critical")} °C`;
    return [{ status: "warning", subject, summary, action: "inspect_hardware" }];
  });
}
