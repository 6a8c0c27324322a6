import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { readFreeText } from "./free-text.ts";
import type { Host } from "./host.ts";
import { type Chip, listChips } from "./hwmon-chips.ts";
import { cleanName, describeReading, isChipSetting, parseSensorFile, type SensorFile } from "./hwmon-sensors.ts";
import { detectPath, isErrno, listIfPresent, parseDecimal, readText } from "./read.ts";

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
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/hwmon`, "no hardware monitoring"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        for (const chip of listChips(host)) {
          if (keepsChip(chip.chip)) addChip(host, families, chip, (sensor) => keepsSensor(`${chip.chip};${sensor}`));
        }
        return families.list();
      },
    };
  },
});

/** The files of one sensor by element. */
type Sensor = Map<string, { readonly file: SensorFile; readonly path: string }>;

function addChip(
  host: Host,
  families: FamilySet,
  { chip, chipName, path }: Chip,
  keeps: (sensor: string) => boolean,
): void {
  if (chipName !== undefined) families.add(chipNames, { chip, chip_name: chipName }, 1);
  for (const [sensor, files] of listSensors(path)) {
    if (keeps(sensor)) addSensor(host, families, { chip, sensor }, files);
  }
}

/** Drivers older than the hwmon class keep their files in the device's folder; what is in both is read there. */
function listSensors(path: string): Map<string, Sensor> {
  const sensors = new Map<string, Sensor>();
  for (const folder of [path, `${path}/device`]) {
    for (const name of listIfPresent(folder)) {
      // Runtime power management has its folder of this name in every device.
      const file = name === "power" ? undefined : parseSensorFile(name);
      if (file === undefined) continue;
      const files: Sensor = sensors.get(file.sensor) ?? new Map();
      sensors.set(file.sensor, files.set(file.element, { file, path: `${folder}/${name}` }));
    }
  }
  return sensors;
}

function addSensor(
  host: Host,
  families: FamilySet,
  labels: { readonly chip: string; readonly sensor: string },
  files: Sensor,
): void {
  const labelFile = files.get("label");
  const label = labelFile === undefined ? undefined : readFreeText(host, labelFile.path);
  if (label !== undefined) families.add(sensorLabel, { ...labels, label }, 1);
  for (const [element, { file, path }] of files) {
    if (element === "label" || (isChipSetting(file.type) && element !== "")) continue;
    // A frequency is published under what the driver calls it, and not at all without that.
    const isFrequency = file.type === "freq" && element === "input";
    if (isFrequency && label === undefined) continue;
    const value = readSensor(host, path);
    if (value === undefined) continue;
    const { family, convert } = describeReading(file, files.has(""));
    families.add(family, isFrequency ? { ...labels, sensor: cleanName(label ?? "") } : labels, convert(value));
  }
}

/** A sensor that is asleep or broken answers with an error of its own; texts (a model name) are no readings. */
function readSensor(host: Host, path: string): number | undefined {
  try {
    return parseDecimal(readText(path));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EISDIR")) host.skipped(path, error);
    return undefined;
  }
}
