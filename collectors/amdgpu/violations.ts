import type { Labels } from "../collector.ts";
import type { FamilySet } from "../families.ts";
import type { AmdGpu } from "./device.ts";
import type { GpuMetrics } from "./gpu-metrics.ts";

/** Name in the family, field of gpu_metrics, words for the help. */
const reasons = [
  ["processor_hot", "prochot_residency_acc", "a hot processor"],
  ["ppt", "ppt_residency_acc", "package power"],
  ["socket_thermal", "socket_thm_residency_acc", "socket temperature"],
  ["vr_thermal", "vr_thm_residency_acc", "voltage regulator temperature"],
  ["hbm_thermal", "hbm_thm_residency_acc", "HBM temperature"],
] as const;

/** Adds for how long the GPU has been held back, and which part of the time since the reading before. */
export type AddViolations = (set: FamilySet, gpu: AmdGpu, metrics: GpuMetrics | undefined, labels: Labels) => void;

export function createViolations(): AddViolations {
  const before = new Map<string, { ticks: number; held: Map<string, number> }>();
  return (set, { pciBusId }, metrics, labels) => {
    const ticks = metrics?.value("accumulation_counter");
    if (metrics === undefined || ticks === undefined) return;
    const last = before.get(pciBusId);
    const held = new Map<string, number>();
    before.set(pciBusId, { ticks, held });
    set.gauge("gpu_current_accumulated_counter", "Ticks of the counters of violations", ticks, labels);
    for (const [name, field, words] of reasons) {
      const value = metrics.value(field);
      if (value === undefined) continue;
      held.set(name, value);
      const family = `gpu_violation_${name}_residency`;
      set.gauge(`${family}_accumulated`, `Ticks during which the GPU was held back by ${words}`, value, labels);
      const share = last && share100(value - (last.held.get(name) ?? Number.NaN), ticks - last.ticks);
      set.gauge(`${family}_percentage`, `Percentage of time that the GPU was held back by ${words}`, share, labels);
    }
  };
}

/** Undefined after a reset of the firmware, which starts the counters again. */
function share100(held: number, ticks: number): number | undefined {
  return held >= 0 && ticks > 0 ? Math.min(100, (held / ticks) * 100) : undefined;
}
