import { expect, test } from "bun:test";
import { hwmon } from "../../collectors/hwmon.ts";
import { describeReading, parseSensorFile } from "../../collectors/hwmon-sensors.ts";
import { collectFrom, createFixture, type Tree } from "./fixture-host.ts";

const cpu = "sys/devices/platform/coretemp.0/hwmon/hwmon2";
const tree: Tree = {
  "sys/class/hwmon/hwmon2": { to: "../../devices/platform/coretemp.0/hwmon/hwmon2" },
  [`${cpu}/device`]: { to: "../../../coretemp.0" },
  [`${cpu}/name`]: "coretemp\n",
  [`${cpu}/temp1_input`]: "54500\n",
  [`${cpu}/temp1_label`]: "Package id 0\n",
  [`${cpu}/temp1_crit_alarm`]: "0\n",
  [`${cpu}/power1_model_number`]: "PSU-7\n",
  [`${cpu}/uevent`]: "\n",
  [`${cpu}/power/`]: "",
};

test("a chip is named after its device, its sensors carry their labels", async () => {
  const labels = 'chip="platform_coretemp_0"';
  const { series, skipped } = await collectFrom(hwmon, tree);
  expect(series).toEqual([
    `node_hwmon_chip_names{${labels},chip_name="coretemp"} 1`,
    `node_hwmon_sensor_label{${labels},label="Package id 0",sensor="temp1"} 1`,
    `node_hwmon_temp_celsius{${labels},sensor="temp1"} 54.5`,
    `node_hwmon_temp_crit_alarm_celsius{${labels},sensor="temp1"} 0`,
  ]);
  expect(skipped).toEqual([]);
});

test("a sensor more or less and another label are seen at the next collection", async () => {
  await using fixture = await createFixture(tree);
  const collector = hwmon.create({ chip_include: "", chip_exclude: "", sensor_include: "", sensor_exclude: "" });
  const collect = async (): Promise<string[]> => (await fixture.collect(collector)).series.slice(1);
  const labels = 'chip="platform_coretemp_0"';
  const [input, alarm] = ["", "_crit_alarm"].map((element) => `node_hwmon_temp${element}_celsius{${labels},sensor=`);
  const label = (text: string): string => `node_hwmon_sensor_label{${labels},label="${text}",sensor="temp1"} 1`;
  expect(await collect()).toEqual([label("Package id 0"), `${input}"temp1"} 54.5`, `${alarm}"temp1"} 0`]);
  await fixture.put({ [`${cpu}/temp2_input`]: "1000\n", [`${cpu}/temp1_label`]: "Package\n" });
  const both = [`${input}"temp1"} 54.5`, `${input}"temp2"} 1`, `${alarm}"temp1"} 0`];
  expect(await collect()).toEqual([label("Package"), ...both]);
  await fixture.put({ [`${cpu}/temp1_label`]: { to: "gone" } });
  expect(await collect()).toEqual(both);
});

test("a sensor that cannot be read costs one series", async () => {
  // A link to itself: reading it is ELOOP, for root too.
  const { series, skipped } = await collectFrom(hwmon, { ...tree, [`${cpu}/temp1_input`]: { to: "temp1_input" } });
  expect(series).toHaveLength(3);
  expect(skipped).toEqual(["sys/class/hwmon/hwmon2/temp1_input"]);
});

const sensors = (number: number, files: Record<string, string>): Tree =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`sys/class/hwmon/hwmon${number}/${name}`, text]));
const chips = async (files: Tree): Promise<(string | undefined)[]> => {
  const { series } = await collectFrom(hwmon, files);
  return series.filter((line) => line.startsWith("node_hwmon_fan_rpm")).map((line) => /chip="([^"]*)"/.exec(line)?.[1]);
};

test("chips without a device are told apart by name file, then by number", async () => {
  const files = { fan1_input: "1200\n" };
  expect(await chips({ ...sensors(0, { ...files, name: "nct6779\n" }), ...sensors(1, files) })).toEqual([
    "hwmon1",
    "nct6779",
  ]);
  expect(
    await chips({ ...sensors(0, { ...files, name: "twin\n" }), ...sensors(1, { ...files, name: "twin\n" }) }),
  ).toEqual(["twin_hwmon0", "twin_hwmon1"]);
});

test("chips that share a device are told apart by their name files", async () => {
  const parent = "sys/devices/platform/asus";
  const shared = (number: number, name: string): Tree => ({
    ...sensors(number, { fan1_input: "1\n", name: `${name}\n` }),
    [`sys/class/hwmon/hwmon${number}/device`]: { to: "../../../devices/platform/asus" },
  });
  expect(await chips({ [`${parent}/uevent`]: "\n", ...shared(0, "fans"), ...shared(1, "wmi") })).toEqual([
    "platform_asus_fans",
    "platform_asus_wmi",
  ]);
});

test("old drivers keep their files in the device's folder", async () => {
  const { series } = await collectFrom(hwmon, {
    "sys/class/hwmon/hwmon0/device": { to: "../../../devices/isa/it87" },
    "sys/devices/isa/it87/in0_input": "1500\n",
    "sys/devices/isa/it87/beep_enable": "1\n",
  });
  expect(series).toEqual([
    'node_hwmon_beep_enabled{chip="isa_it87",sensor="beep_enable0"} 1',
    'node_hwmon_in_volts{chip="isa_it87",sensor="in0"} 1.5',
  ]);
});

test("a frequency goes by what the driver calls it", async () => {
  const { series } = await collectFrom(
    hwmon,
    sensors(0, { freq1_input: "800000000\n", freq1_label: "SCLK\n", freq2_input: "1\n" }),
  );
  expect(series).toContain('node_hwmon_freq_freq_mhz{chip="hwmon0",sensor="sclk"} 800');
  expect(series).toHaveLength(2);
});

test("chips and sensors by pattern; both patterns count", async () => {
  expect((await collectFrom(hwmon, tree, { chip_exclude: "coretemp" })).series).toEqual([]);
  expect((await collectFrom(hwmon, tree, { chip_include: "coretemp" })).series).toHaveLength(4);
  expect((await collectFrom(hwmon, tree, { sensor_exclude: "coretemp_0;temp1$" })).series).toHaveLength(1);
  expect((await collectFrom(hwmon, tree, { sensor_include: ";temp1$" })).series).toHaveLength(4);
  const both = { sensor_include: ";temp1$", sensor_exclude: "coretemp_0" };
  expect((await collectFrom(hwmon, tree, both)).series).toHaveLength(1);
});

test("absent without the class", async () => {
  expect((await collectFrom(hwmon, {})).state).toBe("absent");
  expect(await collectFrom(hwmon, { "sys/class/hwmon/": "" })).toMatchObject({ state: "ok", series: [] });
});

test.each([
  ["in1_min", 1200, "node_hwmon_in_min_volts", 1.2],
  ["cpu0_vid", 1200, "node_hwmon_cpu_vid_volts", 1.2],
  ["temp1_type", 4, "node_hwmon_temp_type", 4],
  ["temp2_fault", 1, "node_hwmon_temp_fault", 1],
  ["fan3_target", 900, "node_hwmon_fan_target_rpm", 900],
  ["fan3_div", 8, "node_hwmon_fan_div", 8],
  ["curr1_input", 1500, "node_hwmon_curr_amps", 1.5],
  ["energy1_input", 2_000_000, "node_hwmon_energy_joule_total", 2],
  ["power1_average", 250_000_000, "node_hwmon_power_average_watt", 250],
  ["power1_average_interval", 1000, "node_hwmon_power_average_interval_seconds", 1],
  ["power1_accuracy", 500_000, "node_hwmon_power_accuracy", 0.5],
  ["humidity1_input", 450_000, "node_hwmon_humidity", 0.45],
  ["in2_beep", 1, "node_hwmon_in_beep_enabled", 1],
  ["intrusion0_alarm", 1, "node_hwmon_intrusion_alarm", 1],
  ["pwm1", 128, "node_hwmon_pwm", 128],
  ["pwm1_auto_point1_pwm", 9, "node_hwmon_pwm_auto_point1_pwm", 9],
  ["vrm", 90, "node_hwmon_voltage_regulator_version", 90],
  ["update_interval", 2000, "node_hwmon_update_interval_seconds", 2],
])("%s %d", (name, raw, metric, value) => {
  const file = parseSensorFile(name);
  const { family, convert } = describeReading(file ?? { type: "", sensor: "", element: "" }, false);
  expect(family.name).toBe(metric);
  expect(convert(raw)).toBeCloseTo(value, 9);
});

test.each(["name", "uevent", "temp_crit", "subsystem"])("%s is no sensor's file", (name) => {
  expect(parseSensorFile(name)).toBeUndefined();
});
