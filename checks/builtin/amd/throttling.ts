import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, percent } from "../builtin.ts";
import { type AmdGpu, readableAmd } from "./gpus.ts";

/** The firmware's counters, in its own ticks. */
const Look = t.Object({ at: t.Number(), ticks: t.Number(), held: t.Record(t.String(), t.Number()) });
type Look = Static<typeof Look>;
const Memory = t.Record(t.String(), t.Array(Look));

const words: Readonly<Record<string, string>> = {
  processor_hot: "the server has called it too hot (PROCHOT)",
  socket_thermal: "the GPU is too hot",
  vr_thermal: "its voltage regulators are too hot",
  hbm_thermal: "its memory is too hot",
};
/** With less than this between the looks nothing is said. */
const shortestSeconds = 120;

export const amdGpuThrottling = defineBuiltin({
  name: "amd_gpu_throttling",
  description: "AMD GPUs that their firmware holds back because something is too hot.",
  explanation: [
    "The firmware counts the time during which it holds a GPU back, by cause. Heat means fans, blocked air, missing " +
      "blanks, a room that is too warm, or a heat sink that does not sit well. PROCHOT is pulled from outside: by the " +
      "server's management, for heat or a failed power supply.",
    "The power limit (ppt) is what a busy GPU lives with, and not judged. Firmware tables older than 1.6 do not tell causes " +
      "apart, so GPUs with those are not judged.",
  ],
  source: "amdgpu",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      window_minutes: t.Number({
        default: 10,
        minimum: 3,
        maximum: 120,
        description: "Time over which the share is taken.",
      }),
      warning_ratio: t.Number({
        default: 0.2,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share of the time that is a warning.",
      }),
      critical_ratio: t.Number({
        default: 0.6,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share of the time that is critical.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const windowSeconds = parameters.window_minutes * 60;
    const gpus = readableAmd(samples).flatMap((gpu) => {
      const look = take(gpu, nowSeconds);
      return look === undefined ? [] : [{ gpu, look }];
    });
    if (gpus.length === 0) return { findings: [], summary: "", absent: "no AMD GPU that tells why it is held back" };
    const after = Object.fromEntries(
      gpus.map(({ gpu: { pciBusId }, look }) => {
        // After a reset the counters start anew, and what was before says nothing.
        const earlier = (before[pciBusId] ?? []).filter(
          ({ at, ticks }) => nowSeconds - at <= windowSeconds && ticks < look.ticks,
        );
        return [pciBusId, [...earlier, look]] as const;
      }),
    );
    const findings = gpus.flatMap(({ gpu, look }): Finding[] => {
      const [first] = after[gpu.pciBusId] ?? [];
      if (first === undefined || nowSeconds - first.at < shortestSeconds) return [];
      const [share, cause] = worst(first, look);
      if (share < parameters.warning_ratio) return [];
      const status = share >= parameters.critical_ratio ? "critical" : "warning";
      const summary = `held back for ${percent(share)} of the last ${Math.round((nowSeconds - first.at) / 60)} minutes: ${words[cause]}`;
      return [{ status, subject: gpu.name, summary, action: "inspect_hardware" }];
    });
    return { findings, summary: `${count(gpus.length, "GPU")} not held back by heat`, memory: after };
  },
});

function take({ value }: AmdGpu, at: number): Look | undefined {
  const ticks = value("gpu_current_accumulated_counter");
  const held = Object.keys(words).flatMap((cause) => {
    const reading = value(`gpu_violation_${cause}_residency_accumulated`);
    return reading === undefined ? [] : [[cause, reading] as const];
  });
  return ticks === undefined || held.length === 0 ? undefined : { at, ticks, held: Object.fromEntries(held) };
}

function worst(first: Look, last: Look): [share: number, cause: string] {
  const shares = Object.entries(last.held).map(([cause, held]): [number, string] => {
    return [Math.min(1, (held - (first.held[cause] ?? held)) / (last.ticks - first.ticks)), cause];
  });
  return shares.toSorted(([a], [b]) => b - a)[0] ?? [0, ""];
}
