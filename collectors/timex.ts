import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { type ClockState, readClockState } from "./libc.ts";

/** State of the kernel's clock discipline, adjtimex(2). */
export const timex = defineCollector({
  name: "timex",
  description: "Offset, error estimates and synchronisation of the system clock by adjtimex(2).",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async () => {
      const clock = readClockState();
      if (clock === undefined) throw new NoDataError("adjtimex(2) is not permitted");
      return toFamilies(clock);
    },
  }),
});

const TIME_ERROR = 5;
const STA_NANO = 0x2000;
const microseconds = 1e6;
// Frequencies are parts per million with 16 bits behind the point.
const ppm16 = 1e6 * 65536;

export function toFamilies({ state, timex: bytes }: ClockState): MetricFamily[] {
  const long = (offset: number): number => Number(bytes.readBigInt64LE(offset));
  const status = bytes.readInt32LE(40);
  const resolution = (status & STA_NANO) === 0 ? microseconds : 1e9;
  const out = createFamilySet();
  const gauge = (name: string, help: string, value: number): void => out.gauge(`node_timex_${name}`, help, value);
  const counter = (name: string, help: string, value: number): void => out.counter(`node_timex_${name}`, help, value);
  const syncHelp = "Is clock synchronized to a reliable server (1 = yes, 0 = no).";
  gauge("sync_status", syncHelp, state === TIME_ERROR ? 0 : 1);
  gauge("offset_seconds", "Time offset in between local system and reference clock.", long(8) / resolution);
  gauge("frequency_adjustment_ratio", "Local clock frequency adjustment.", 1 + long(16) / ppm16);
  gauge("maxerror_seconds", "Maximum error in seconds.", long(24) / microseconds);
  gauge("estimated_error_seconds", "Estimated error in seconds.", long(32) / microseconds);
  gauge("status", "Value of the status array bits.", status);
  gauge("loop_time_constant", "Phase-locked loop time constant.", long(48));
  gauge("tick_seconds", "Seconds between clock ticks.", long(88) / microseconds);
  gauge("pps_frequency_hertz", "Pulse per second frequency.", long(96) / ppm16);
  gauge("pps_jitter_seconds", "Pulse per second jitter.", long(104) / resolution);
  gauge("pps_shift_seconds", "Pulse per second interval duration.", bytes.readInt32LE(112));
  const stabilityHelp = "Pulse per second stability, average of recent frequency changes.";
  gauge("pps_stability_hertz", stabilityHelp, long(120) / ppm16);
  counter("pps_jitter_total", "Pulse per second count of jitter limit exceeded events.", long(128));
  counter("pps_calibration_total", "Pulse per second count of calibration intervals.", long(136));
  counter("pps_error_total", "Pulse per second count of calibration errors.", long(144));
  counter("pps_stability_exceeded_total", "Pulse per second count of stability limit exceeded events.", long(152));
  gauge("tai_offset_seconds", "International Atomic Time (TAI) offset.", bytes.readInt32LE(160));
  return out.list();
}
