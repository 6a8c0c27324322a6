import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { readFreeText } from "./free-text.ts";
import type { Host } from "./host.ts";
import { type Chip, listChips } from "./hwmon-chips.ts";
import {
  cleanName,
  describeReading,
  isChipSetting,
  parseSensorFile,
  type Reading,
  type SensorFile,
} from "./hwmon-sensors.ts";
import { detectPath, isErrno, listAttributes, parseDecimal, readIntegerOrText } from "./read.ts";
import { remember, rememberLatest } from "./remember.ts";

const chipNames = gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names");
const sensorLabel = gauge("node_hwmon_sensor_label", "Label for given chip and sensor");

const pattern = (flag: string, description: string) => Type.String({ default: "", flag, description });

/** https://docs.kernel.org/hwmon/sysfs-interface.html */
export const hwmon = defineCollector({
  name: "hwmon",
  description: "Temperatures, fans, voltages, currents and power from /sys/class/hwmon.",
  enabledByDefault: true,
  options: Type.Object(
    {
      chip_include: pattern("collector.hwmon.chip-include", "Regular expression of chips to read, no others."),
      chip_exclude: pattern("collector.hwmon.chip-exclude", "Regular expression of chips to leave out."),
      sensor_include: pattern(
        "collector.hwmon.sensor-include",
        "Regular expression of chip;sensor to read, no others.",
      ),
      sensor_exclude: pattern("collector.hwmon.sensor-exclude", "Regular expression of chip;sensor to leave out."),
    },
    { additionalProperties: false },
  ),
  create: ({ chip_include, chip_exclude, sensor_include, sensor_exclude }) => {
    const keepsChip = createDeviceFilter({
      flag: "collector.hwmon.chip",
      include: chip_include,
      exclude: chip_exclude,
    });
    const keepsSensor = createDeviceFilter({
      flag: "collector.hwmon.sensor",
      include: sensor_include,
      exclude: sensor_exclude,
    });
    const listSensors = createSensorLists((chip, sensor) => keepsSensor(`${chip};${sensor}`));
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/hwmon`, "no hardware monitoring"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        for (const each of listChips(host)) {
          const { chip, chipName } = each;
          if (!keepsChip(chip)) continue;
          if (chipName !== undefined) families.add(chipNames, { chip, chip_name: chipName }, 1);
          for (const sensor of listSensors(each)) addSensor(host, families, sensor);
        }
        return families.list();
      },
    };
  },
});

interface Sensor {
  readonly labels: Labels;
  readonly labelPath: string | undefined;
  readonly readings: readonly SensorReading[];
}

interface SensorReading extends Reading {
  readonly path: string;
  readonly isFrequency: boolean;
}

const noNames: readonly string[] = [];

/** The sensors of a chip, worked out anew when its folder has other names in it. */
function createSensorLists(keeps: (chip: string, sensor: string) => boolean): (chip: Chip) => Sensor[] {
  const latestOf = remember((_chip) => rememberLatest<Sensor[]>());
  return ({ chip, path, attributes }) => {
    // Drivers older than the hwmon class keep their files in the device's folder; what is in both is read there.
    const ofDevice = attributes.includes("device") ? listAttributes(`${path}/device`) : noNames;
    return latestOf(chip)([path, attributes, ofDevice], () => {
      const folders = [
        { folder: path, names: attributes },
        { folder: `${path}/device`, names: ofDevice },
      ];
      return [...groupFiles(folders)]
        .filter(([sensor]) => keeps(chip, sensor))
        .map(([sensor, files]) => toSensor({ chip, sensor }, files));
    });
  };
}

/** The files of one sensor by element. */
type SensorFiles = Map<string, { readonly file: SensorFile; readonly path: string }>;

function groupFiles(folders: readonly { folder: string; names: readonly string[] }[]): Map<string, SensorFiles> {
  const sensors = new Map<string, SensorFiles>();
  for (const { folder, names } of folders) {
    for (const name of names) {
      // Runtime power management has its folder of this name in every device.
      const file = name === "power" ? undefined : parseSensorFile(name);
      if (file === undefined) continue;
      const files: SensorFiles = sensors.get(file.sensor) ?? new Map();
      sensors.set(file.sensor, files.set(file.element, { file, path: `${folder}/${name}` }));
    }
  }
  return sensors;
}

function toSensor(labels: Labels, files: SensorFiles): Sensor {
  const readings = [...files.values()]
    .filter(({ file: { type, element } }) => element !== "label" && !(isChipSetting(type) && element !== ""))
    .map(({ file, path }) => ({
      ...describeReading(file, files.has("")),
      path,
      isFrequency: file.type === "freq" && file.element === "input",
    }));
  return { labels, labelPath: files.get("label")?.path, readings };
}

function addSensor(host: Host, families: FamilySet, { labels, labelPath, readings }: Sensor): void {
  const label = labelPath === undefined ? undefined : readFreeText(host, labelPath);
  if (label !== undefined) families.add(sensorLabel, { ...labels, label }, 1);
  for (const { family, convert, path, isFrequency } of readings) {
    // A frequency is published under what the driver calls it, and not at all without that.
    if (isFrequency && label === undefined) continue;
    const value = readSensor(host, path);
    if (value === undefined) continue;
    families.add(family, isFrequency ? { ...labels, sensor: cleanName(label ?? "") } : labels, convert(value));
  }
}

/** A sensor that is asleep or broken answers with an error of its own; texts (a model name) are no readings. */
function readSensor(host: Host, path: string): number | undefined {
  try {
    const reading = readIntegerOrText(path);
    return typeof reading === "number" ? reading : parseDecimal(reading);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EISDIR")) host.skipped(path, error);
    return undefined;
  }
}
