import { expect, test } from "bun:test";
import { cpufreq, parseCpuList } from "../../collectors/cpufreq.ts";
import { rapl, splitZoneName } from "../../collectors/rapl.ts";
import { thermalZone } from "../../collectors/thermal-zone.ts";
import { collectFrom, createFixture, unreadable } from "./fixture-host.ts";

const thermal = {
  "sys/class/thermal/thermal_zone3/type": "x86_pkg_temp\n",
  "sys/class/thermal/thermal_zone3/temp": "-1500\n",
  "sys/class/thermal/cooling_device12/type": "Processor\n",
  "sys/class/thermal/cooling_device12/cur_state": "-1\n",
  "sys/class/thermal/cooling_device12/max_state": "10\n",
};

test("thermal: millidegrees to degrees, states as they are", async () => {
  const { series } = await collectFrom(thermalZone, thermal);
  expect(series).toEqual([
    'node_cooling_device_cur_state{name="12",type="Processor"} -1',
    'node_cooling_device_max_state{name="12",type="Processor"} 10',
    'node_thermal_zone_temp{type="x86_pkg_temp",zone="3"} -1.5',
  ]);
});

test("thermal: a zone that cannot be read costs one series, no thermal class is a success without series", async () => {
  const broken = await collectFrom(thermalZone, { ...thermal, "sys/class/thermal/thermal_zone4/temp": unreadable });
  expect(broken.series).toHaveLength(3);
  expect(broken.skipped).toEqual(["sys/class/thermal/thermal_zone4/temp"]);
  expect(await collectFrom(thermalZone, {})).toMatchObject({ state: "ok", series: [] });
});

const cpu = (number: number, files: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(files).map(([name, text]) => [`sys/devices/system/cpu/cpu${number}/cpufreq/${name}`, text]),
  );
const governed = { scaling_governor: "powersave\n", scaling_available_governors: "performance powersave\n" };

test("cpufreq: kHz to Hz, one series per governor, offline CPUs left out", async () => {
  const { series } = await collectFrom(cpufreq, {
    "sys/devices/system/cpu/offline": "1-2\n",
    ...cpu(0, { scaling_cur_freq: "800000\n", cpuinfo_max_freq: "3700000\n", ...governed }),
    ...cpu(1, { scaling_cur_freq: "1\n" }),
    ...cpu(10, { scaling_cur_freq: "900000\n" }),
  });
  expect(series).toEqual([
    'node_cpu_frequency_max_hertz{cpu="0"} 3.7e+09',
    'node_cpu_scaling_frequency_hertz{cpu="0"} 8e+08',
    'node_cpu_scaling_frequency_hertz{cpu="10"} 9e+08',
    'node_cpu_scaling_governor{cpu="0",governor="performance"} 0',
    'node_cpu_scaling_governor{cpu="0",governor="powersave"} 1',
  ]);
});

test("cpufreq: a CPU more or less, another driver and other governors are seen at the next collection", async () => {
  const files = { cpuinfo_max_freq: "1000\n", scaling_governor: "a\n", scaling_available_governors: "a b\n" };
  await using fixture = await createFixture({ ...cpu(0, files), ...cpu(1, files) });
  const collector = cpufreq.create({});
  const max = (number: number): string => `node_cpu_frequency_max_hertz{cpu="${number}"} 1e+06`;
  const governor = (number: number, name: string, value: number): string =>
    `node_cpu_scaling_governor{cpu="${number}",governor="${name}"} ${value}`;
  const both = [max(0), max(1), governor(0, "a", 1), governor(0, "b", 0), governor(1, "a", 1), governor(1, "b", 0)];
  expect((await fixture.collect(collector)).series).toEqual(both);
  await fixture.put({ "sys/devices/system/cpu/offline": "1\n" });
  expect((await fixture.collect(collector)).series).toEqual([max(0), governor(0, "a", 1), governor(0, "b", 0)]);
  await fixture.put(cpu(0, { scaling_available_governors: "a\n", scaling_min_freq: "2000\n" }));
  const min = 'node_cpu_scaling_frequency_min_hertz{cpu="0"} 2e+06';
  expect((await fixture.collect(collector)).series).toEqual([max(0), min, governor(0, "a", 1)].sort());
  await fixture.put({ "sys/devices/system/cpu/offline": "\n", ...cpu(2, files) });
  expect((await fixture.collect(collector)).series).toContain(max(2));
});

test("cpufreq: a frequency that is no number costs one series", async () => {
  const page = await collectFrom(cpufreq, cpu(0, { cpuinfo_cur_freq: "<unknown>\n", scaling_cur_freq: "800000\n" }));
  expect(page.series).toEqual(['node_cpu_scaling_frequency_hertz{cpu="0"} 8e+08']);
  expect(page.skipped).toEqual(["sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_cur_freq"]);
});

test("cpufreq: CPUs without a driver are a success, no CPUs in sysfs are not", async () => {
  expect(await collectFrom(cpufreq, { "sys/devices/system/cpu/cpu0/": "" })).toMatchObject({ state: "ok", series: [] });
  expect((await collectFrom(cpufreq, {})).state).toBe("absent");
});

test.each([
  ["", []],
  ["\n", []],
  ["3", [3]],
  ["0,4-6,9", [0, 4, 5, 6, 9]],
  ["1,99999999999999999999999999,3", [1, 3]],
  ["0-99999999999,2", [2]],
])("CPU list %j", (text, cpus) => {
  expect([...parseCpuList(text)]).toEqual(cpus);
});

const zones = {
  "sys/class/powercap/intel-rapl/enabled": "1\n",
  "sys/class/powercap/intel-rapl:0/name": "package-0\n",
  "sys/class/powercap/intel-rapl:0/energy_uj": "2500000\n",
  "sys/class/powercap/intel-rapl:0:0/name": "dram\n",
  "sys/class/powercap/intel-rapl:0:0/energy_uj": "1000000\n",
  "sys/class/powercap/intel-rapl:1:0/name": "dram\n",
  "sys/class/powercap/intel-rapl:1:0/energy_uj": "3000000\n",
};

test("rapl: a family for each zone name, or one with a label", async () => {
  expect((await collectFrom(rapl, zones)).series).toEqual([
    'node_rapl_dram_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0:0"} 1',
    'node_rapl_dram_joules_total{index="1",path="/sys/class/powercap/intel-rapl:1:0"} 3',
    'node_rapl_package_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0"} 2.5',
  ]);
  expect((await collectFrom(rapl, zones, { enable_zone_label: true })).series).toContain(
    'node_rapl_joules_total{index="0",path="/sys/class/powercap/intel-rapl:0",rapl_zone="package"} 2.5',
  );
});

test("rapl: one counter without the right to read it costs one series, none readable is absent", async () => {
  const partly = await collectFrom(rapl, {
    ...zones,
    "sys/class/powercap/intel-rapl:2/name": "psys\n",
    "sys/class/powercap/intel-rapl:2/energy_uj": unreadable,
  });
  expect(partly.series).toHaveLength(3);
  const denied = { "sys/class/powercap/x/name": "psys\n", "sys/class/powercap/x/energy_uj": unreadable };
  expect(await collectFrom(rapl, denied)).toMatchObject({
    state: "absent",
    skipped: ["sys/class/powercap/x/energy_uj"],
  });
  expect((await collectFrom(rapl, {})).state).toBe("absent");
});

test.each([
  ["package-1", "package", 1],
  ["dram", "dram", 0],
  ["package-0-die-1", "package-0-die-1", 0],
])("zone %s", (name, zone, index) => {
  expect(splitZoneName(name, new Map())).toEqual({ zone, index });
});
