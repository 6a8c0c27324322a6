import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { readFreeText } from "./free-text.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { detectPath, listAttributes, listIfPresent, readNumber } from "./read.ts";

const plain = (value: number): number => value;
/** Microvolts, microwatt-hours and so on, see Documentation/ABI/testing/sysfs-class-power of the kernel. */
const fromMicro = (value: number): number => value / 1e6;
const fromTenths = (value: number): number => value / 10;

const microAttributes = [
  "charge_control_limit",
  "charge_control_limit_max",
  "charge_counter",
  "charge_empty",
  "charge_empty_design",
  "charge_full",
  "charge_full_design",
  "charge_term_current",
  "constant_charge_current",
  "constant_charge_current_max",
  "constant_charge_voltage",
  "constant_charge_voltage_max",
  "current_boot",
  "current_max",
  "energy_empty",
  "energy_empty_design",
  "energy_full",
  "energy_full_design",
  "input_current_limit",
  "precharge_current",
  "voltage_boot",
  "voltage_max",
  "voltage_max_design",
  "voltage_min",
  "voltage_min_design",
  "voltage_ocv",
] as const;

/** Rest of the metric name and unit, by attribute of /sys/class/power_supply/<supply>. */
const numbers = new Map<string, readonly [name: string, convert: (value: number) => number]>([
  ...["authentic", "calibrate", "capacity", "capacity_alert_max", "capacity_alert_min", "online", "present"].map(
    (name) => [name, [name, plain]] as const,
  ),
  ["cycle_count", ["cyclecount", plain]],
  ["time_to_empty_now", ["time_to_empty_seconds", plain]],
  ["time_to_full_now", ["time_to_full_seconds", plain]],
  ...microAttributes.map((name) => [name, [name, fromMicro]] as const),
  ["charge_now", ["charge_ampere", fromMicro]],
  ["current_now", ["current_ampere", fromMicro]],
  ["energy_now", ["energy_watthour", fromMicro]],
  ["power_now", ["power_watt", fromMicro]],
  ["voltage_now", ["voltage_volt", fromMicro]],
  ...["", "_alert_max", "_alert_min", "_ambient", "_ambient_max", "_ambient_min", "_max", "_min"].map(
    (part) => [`temp${part}`, [`temp${part}_celsius`, fromTenths]] as const,
  ),
]);

const info = gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.");
const labelAttributes = new Set([
  "capacity_level",
  "charge_type",
  "health",
  "manufacturer",
  "model_name",
  "scope",
  "serial_number",
  "status",
  "technology",
  "type",
  "usb_type",
]);

export const powersupplyclass = defineCollector({
  name: "powersupplyclass",
  description: "Batteries and mains adapters from /sys/class/power_supply.",
  enabledByDefault: true,
  options: Type.Object(
    {
      ignored_supplies: Type.String({
        default: "^$",
        flag: "collector.powersupply.ignored-supplies",
        description: "Regular expression of power supplies to leave out.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ ignored_supplies }) => {
    const ignored = compilePattern(ignored_supplies, "--collector.powersupply.ignored-supplies");
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/power_supply`, "no power supply class"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        const folder = `${host.sysPath}/class/power_supply`;
        for (const supply of listIfPresent(folder)) {
          if (!ignored.test(supply)) addSupply(host, families, supply, `${folder}/${supply}`);
        }
        return families.list();
      },
    };
  },
});

function addSupply(host: Host, families: FamilySet, supply: string, path: string): void {
  const labels: Record<string, string> = { power_supply: supply };
  for (const attribute of listAttributes(path)) {
    const number = numbers.get(attribute);
    if (number !== undefined) {
      const [name, convert] = number;
      const value = readNumber(host, `${path}/${attribute}`);
      const family = gauge(`node_power_supply_${name}`, `${name} value of /sys/class/power_supply/<power_supply>.`);
      families.add(family, { power_supply: supply }, value === undefined ? undefined : convert(value));
    } else if (labelAttributes.has(attribute)) {
      // An empty attribute is no label at all, so supplies differ in their labels.
      const text = readFreeText(host, `${path}/${attribute}`)?.trim() ?? "";
      if (text !== "") labels[attribute] = text;
    }
  }
  families.add(info, labels, 1);
}
