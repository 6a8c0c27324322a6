import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute, readNumber } from "./read.ts";

const temperature = gauge("node_thermal_zone_temp", "Zone temperature in Celsius");
const currentState = gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device");
const maximumState = gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device");

/** /sys/class/thermal: zones in millidegrees, cooling devices in driver-defined steps (-1 = not applicable). */
export const thermalZone = defineCollector({
  name: "thermal_zone",
  description: "Thermal zones and cooling devices from /sys/class/thermal.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({ collect: async (host) => collectThermal(host) }),
});

function collectThermal(host: Host): MetricFamily[] {
  const families = createFamilySet();
  const folder = `${host.sysPath}/class/thermal`;
  for (const entry of listIfPresent(folder)) {
    const [, kind, number] = /^(thermal_zone|cooling_device)(\d.*)$/.exec(entry) ?? [];
    if (kind === undefined || number === undefined) continue;
    const device = `${folder}/${entry}`;
    const type = readAttribute(host, `${device}/type`)?.trim() ?? "";
    if (kind === "thermal_zone") {
      const millidegrees = readNumber(host, `${device}/temp`);
      families.add(temperature, { zone: number, type }, millidegrees === undefined ? undefined : millidegrees / 1000);
    } else {
      families.add(currentState, { name: number, type }, readNumber(host, `${device}/cur_state`));
      families.add(maximumState, { name: number, type }, readNumber(host, `${device}/max_state`));
    }
  }
  return families.list();
}
