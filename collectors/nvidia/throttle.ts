import type { ValueName } from "./reading.ts";

/** nvmlClocksEventReasons: the bit, our name, dcgm-exporter's. */
export const throttleReasons = [
  { bit: 0x1, name: "gpu_idle", dcgmName: "gpu_idle" },
  { bit: 0x2, name: "applications_clocks", dcgmName: "clocks_setting" },
  { bit: 0x4, name: "sw_power_cap", dcgmName: "power_cap" },
  { bit: 0x8, name: "hw_slowdown", dcgmName: "hw_slowdown" },
  { bit: 0x10, name: "sync_boost", dcgmName: "sync_boost" },
  { bit: 0x20, name: "sw_thermal_slowdown", dcgmName: "sw_thermal" },
  { bit: 0x40, name: "hw_thermal_slowdown", dcgmName: "hw_thermal" },
  { bit: 0x80, name: "hw_power_brake_slowdown", dcgmName: "hw_power_brake" },
  { bit: 0x100, name: "display_clock", dcgmName: "display_clocks" },
] as const;

/** Time below the wanted clocks, by cause. */
export const throttleTimes: readonly { readonly value: ValueName; readonly cause: string }[] = [
  { value: "throttlePowerNs", cause: "power" },
  { value: "throttleThermalNs", cause: "thermal" },
  { value: "throttleSyncBoostNs", cause: "sync_boost" },
  { value: "throttleBoardLimitNs", cause: "board_limit" },
  { value: "throttleLowUtilizationNs", cause: "low_utilization" },
  { value: "throttleReliabilityNs", cause: "reliability" },
];
