import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, duration, percent } from "../builtin.ts";
import { readable, readGpus } from "./gpus.ts";

const Look = t.Object({ at: t.Number(), reasons: t.Array(t.String()) });
const Memory = t.Record(t.String(), t.Array(Look));

const words: Readonly<Record<string, string>> = {
  hw_slowdown: "slowed down by the hardware",
  hw_thermal_slowdown: "too hot, slowed down by the hardware",
  hw_power_brake_slowdown: "slowed down by the power brake of the server",
};
const general = "hw_slowdown";
/** With fewer looks than this in the window nothing is said. */
const fewestLooks = 5;

export const gpuThrottling = defineBuiltin({
  name: "gpu_throttling",
  description: "GPUs that the hardware slows down, by heat or for want of power.",
  explanation: [
    "A GPU that its hardware slows down runs at a fraction of its clocks, and with it the whole of a job that spans " +
      "nodes. Heat: fans, blocked air, missing blanks, a room that is too warm, thermal paste. Power brake: the server " +
      "has pulled it, because a power supply has failed or the budget of the chassis is used up.",
    "The power cap (sw_power_cap) is what a busy GPU lives with, and not judged.",
  ],
  source: "nvidia",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      window_minutes: t.Number({ default: 10, minimum: 1, maximum: 120, description: "Looks of this long count." }),
      warning_ratio: t.Number({
        default: 0.2,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share of looks that is a warning.",
      }),
      critical_ratio: t.Number({
        default: 0.6,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share of looks that is critical.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const gpus = readable(readGpus(samples));
    const after = Object.fromEntries(
      gpus.map(({ uuid, value }) => {
        const reasons = Object.keys(words).filter(
          (reason) => value("aami_gpu_throttle_reason_active", { reason }) === 1,
        );
        const recent = (before[uuid] ?? []).filter(({ at }) => nowSeconds - at < parameters.window_minutes * 60);
        return [uuid, [...recent, { at: nowSeconds, reasons }]] as const;
      }),
    );
    const findings = gpus.flatMap(({ uuid, name: subject }): Finding[] => {
      const looks = after[uuid] ?? [];
      const slowed = looks.filter(({ reasons }) => reasons.length > 0);
      const share = slowed.length / looks.length;
      if (looks.length < fewestLooks || share < parameters.warning_ratio) return [];
      // hw_slowdown is set together with its cause, where that is known.
      const cause = slowed.flatMap(({ reasons }) => reasons).find((reason) => reason !== general) ?? general;
      const status = share >= parameters.critical_ratio ? "critical" : "warning";
      const seconds = nowSeconds - (looks[0]?.at ?? nowSeconds);
      const summary = `${words[cause]} in ${percent(share)} of the last ${looks.length} looks (${duration(seconds)})`;
      return [{ status, subject, summary, action: "inspect_hardware" }];
    });
    return { findings, summary: `${count(gpus.length, "GPU")} at their own speed`, memory: after };
  },
});
