import type { MetricType } from "./collector.ts";
import type { FamilyHead } from "./families.ts";

/** What a file of a sensor becomes: its family, and the raw number turned into the family's unit. */
export interface Reading {
  readonly family: FamilyHead;
  readonly convert: (value: number) => number;
}

const plain = (value: number): number => value;
const fromMilli = (value: number): number => value * 0.001;
const fromMicro = (value: number): number => value / 1e6;

const types = new Set([
  "beep_enable",
  "cpu",
  "curr",
  "energy",
  "fan",
  "freq",
  "humidity",
  "in",
  "intrusion",
  "power",
  "pwm",
  "temp",
  "update_interval",
  "vrm",
]);

export interface SensorFile {
  readonly type: string;
  readonly sensor: string;
  /** "input", "crit_alarm", …; empty for files such as pwm1. */
  readonly element: string;
}

/** "temp1_crit_alarm" of Documentation/hwmon/sysfs-interface.rst; undefined for files that are no sensor's. */
export function parseSensorFile(name: string): SensorFile | undefined {
  const [, type, number, element = ""] = /^([^0-9]+)([0-9]*)(?:_(.+))?$/.exec(name) ?? [];
  if (type === undefined || !types.has(type)) return undefined;
  return { type, sensor: `${type}${Number(number)}`, element };
}

export function cleanName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9:_]/g, "_")
    .replace(/^_+|_+$/g, "");
}

/** Sensor types that are one switch or setting of the whole chip. */
const chipSettings: Readonly<Record<string, Reading>> = {
  beep_enable: reading("node_hwmon_beep_enabled", "Hardware beep enabled", (value) => Number(value === 1)),
  vrm: reading("node_hwmon_voltage_regulator_version", "Hardware voltage regulator", plain),
  update_interval: reading("node_hwmon_update_interval_seconds", "Hardware monitor update interval", fromMilli),
};

export function isChipSetting(type: string): boolean {
  return type in chipSettings;
}

/**
 * The family of one file. `hasBare` says that the sensor has a file without element too (pwm1 beside pwm1_input),
 * which then has the shorter name. Names, helps and units are node_exporter's, down to alarm flags of temperatures
 * that are scaled like a temperature unless they are called just "alarm".
 */
export function describeReading({ type, element }: SensorFile, hasBare: boolean): Reading {
  const setting = chipSettings[type];
  if (setting !== undefined) return setting;
  const name = `node_hwmon_${type}${elementSuffix(element, hasBare)}`;
  if (element === "fault" || element === "alarm") {
    return reading(name, `Hardware sensor ${element} status (${type})`, plain);
  }
  if (element === "beep") return reading(`${name}_enabled`, "Hardware monitor sensor has beeping enabled", plain);
  return describeQuantity(name, type, element) ?? reading(name, `Hardware monitor ${type} element ${element}`, plain);
}

function elementSuffix(element: string, hasBare: boolean): string {
  if (element === "input") return hasBare ? "_input" : "";
  return element === "" ? "" : `_${cleanName(element)}`;
}

function describeQuantity(name: string, type: string, element: string): Reading | undefined {
  switch (type) {
    case "in":
    case "cpu":
      return reading(`${name}_volts`, `Hardware monitor for voltage (${element})`, fromMilli);
    case "temp":
      if (element === "type") return undefined;
      return reading(`${name}_celsius`, `Hardware monitor for temperature (${element || "input"})`, fromMilli);
    case "curr":
      return reading(`${name}_amps`, `Hardware monitor for current (${element})`, fromMilli);
    case "energy":
      return reading(
        `${name}_joule_total`,
        `Hardware monitor for joules used so far (${element})`,
        fromMicro,
        "counter",
      );
    case "power":
      return describePower(name, element);
    case "humidity":
      return reading(
        name,
        `Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) (${element})`,
        fromMicro,
      );
    case "fan":
      if (!["input", "min", "max", "target"].includes(element)) return undefined;
      return reading(`${name}_rpm`, `Hardware monitor for fan revolutions per minute (${element})`, plain);
    case "freq":
      if (element !== "input") return undefined;
      return reading(`${name}_freq_mhz`, "Hardware monitor for GPU frequency in MHz", fromMicro);
    default:
      return undefined;
  }
}

function describePower(name: string, element: string): Reading {
  if (element === "accuracy") return reading(name, "Hardware monitor power meter accuracy, as a ratio", fromMicro);
  if (/^average_interval(_min|_max)?$/.test(element)) {
    return reading(`${name}_seconds`, `Hardware monitor power usage update interval (${element})`, fromMilli);
  }
  return reading(`${name}_watt`, `Hardware monitor for power usage in watts (${element})`, fromMicro);
}

function reading(name: string, help: string, convert: Reading["convert"], type: MetricType = "gauge"): Reading {
  return { family: { name, help, type }, convert };
}
