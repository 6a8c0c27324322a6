import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { splitFields } from "./fields.ts";
import type { Host } from "./host.ts";
import { readWallClock, readZoneOffset } from "./libc.ts";
import { listIfPresent, readAttribute } from "./read.ts";

/** The system clock, the zone in force and the kernel's clock sources. */
export const time = defineCollector({
  name: "time",
  description: "System time, time zone offset and clock sources.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const seconds = readWallClock();
      const { zone, offsetSeconds } = readZoneOffset(seconds);
      out.gauge("node_time_seconds", "System time in seconds since epoch (1970).", seconds);
      const help = "System time zone offset in seconds.";
      out.gauge("node_time_zone_offset_seconds", help, offsetSeconds, { time_zone: zone });
      addClockSources(out, host);
      return out.list();
    },
  }),
});

function addClockSources(out: FamilySet, host: Host): void {
  const root = `${host.sysPath}/devices/system/clocksource`;
  const names = listIfPresent(root).filter((name) => /^clocksource[0-9]/.test(name));
  // The label is the position in the sorted list and not the number in the folder's name, as in node_exporter.
  for (const [index, name] of names.entries()) {
    const device = String(index);
    for (const clocksource of splitFields(readAttribute(host, `${root}/${name}/available_clocksource`) ?? "")) {
      const help = "Available clocksources read from '/sys/devices/system/clocksource'.";
      out.gauge("node_time_clocksource_available_info", help, 1, { device, clocksource });
    }
    const current = readAttribute(host, `${root}/${name}/current_clocksource`);
    if (current === undefined) continue;
    const help = "Current clocksource read from '/sys/devices/system/clocksource'.";
    out.gauge("node_time_clocksource_current_info", help, 1, { device, clocksource: current });
  }
}
