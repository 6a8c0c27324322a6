import { describe, expect, test } from "bun:test";
import { cpu, createRisingTimes, type CpuTimes, parseCpuTimes } from "../../collectors/cpu.ts";
import { createTopologyReader } from "../../collectors/cpu-topology.ts";
import type { Host } from "../../collectors/host.ts";
import { collectFrom } from "./fixture-host.ts";

const stat = "cpu  30 0 0 0 0 0 0 0 0 0\ncpu0 100 200 300 400 500 600 700 800 90 10\ncpu10 1 2 3 4\nintr 5 1 2\n";
const ignored = { skipped: () => {} };

test("ticks become seconds, one series per CPU and mode; a kernel that prints fewer columns gives 0", async () => {
  const { series } = await collectFrom(cpu, { "proc/stat": stat });
  expect(series).toContain('node_cpu_seconds_total{cpu="0",mode="steal"} 8');
  expect(series).toContain('node_cpu_guest_seconds_total{cpu="0",mode="user"} 0.9');
  expect(series).toContain('node_cpu_seconds_total{cpu="10",mode="idle"} 0.04');
  expect(series).toContain('node_cpu_seconds_total{cpu="10",mode="steal"} 0');
  expect(series).toHaveLength(20);
});

test("a CPU line that does not parse costs that CPU", async () => {
  const page = await collectFrom(cpu, { "proc/stat": "cpu 1\ncpu0 1 x 3\ncpu1 1 2 3 4\n" }, { guest: false });
  expect(page.series).toHaveLength(8);
  expect(page.skipped).toEqual(["cpu0 in stat"]);
});

describe("counters never step back", () => {
  const idleOf = (idle: number, user: number): CpuTimes => new Map([["0", [user, 0, 0, idle, 0, 0, 0, 0, 0, 0]]]);
  test.each([
    { name: "a small step of idle keeps the highest value", then: [98, 51], published: [100, 51] },
    { name: "a step of one other mode keeps that one", then: [101, 49], published: [101, 50] },
    { name: "3 s of idle lost is a CPU plugged in again", then: [97, 2], published: [97, 2] },
  ])("$name", ({ then: [idle = 0, user = 0], published }) => {
    const keepRising = createRisingTimes();
    keepRising(idleOf(100, 50));
    const times = keepRising(idleOf(idle, user)).get("0");
    expect([times?.[3], times?.[0]]).toEqual([...published]);
  });

  test("a CPU that went away is forgotten", () => {
    const keepRising = createRisingTimes();
    keepRising(idleOf(100, 50));
    expect(keepRising(new Map()).size).toBe(0);
    expect(keepRising(idleOf(99, 1)).get("0")?.[0]).toBe(1);
  });
});

const sys = (cpuNumber: number, files: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(files).map(([file, text]) => [`sys/devices/system/cpu/cpu${cpuNumber}/${file}`, text]),
  );
const thread = (core: string, count: string) => ({
  "topology/physical_package_id": "0\n",
  "topology/core_id": core,
  "thermal_throttle/core_throttle_count": count,
  "thermal_throttle/package_throttle_count": "30\n",
});
const topology = {
  "proc/stat": "cpu 1\n",
  "sys/devices/system/cpu/isolated": "1,3-4\n",
  "sys/devices/system/cpu/online": "0-1\n",
  ...sys(0, { ...thread("0\n", "5\n"), online: "1\n" }),
  ...sys(1, { ...thread("0\n", "5\n"), online: "1\n" }),
  ...sys(2, { ...thread("1\n", "7\n"), online: "0\n" }),
  ...sys(3, { "topology/": "" }),
};

test("throttles once per core and package, isolated and online CPUs", async () => {
  const { series } = await collectFrom(cpu, topology);
  expect(series).toEqual([
    'node_cpu_core_throttles_total{core="0",package="0"} 5',
    'node_cpu_core_throttles_total{core="1",package="0"} 7',
    'node_cpu_isolated{cpu="1"} 1',
    'node_cpu_isolated{cpu="3"} 1',
    'node_cpu_isolated{cpu="4"} 1',
    'node_cpu_online{cpu="0"} 1',
    'node_cpu_online{cpu="1"} 1',
    'node_cpu_online{cpu="2"} 0',
    'node_cpu_online{cpu="3"} 0',
    'node_cpu_package_throttles_total{package="0"} 30',
  ]);
});

test("no online series where CPU 0 cannot be unplugged", async () => {
  const { "sys/devices/system/cpu/cpu0/online": _, ...fixed } = topology as Record<string, string>;
  const { series } = await collectFrom(cpu, fixed);
  expect(series.filter((line) => line.startsWith("node_cpu_online"))).toEqual([]);
});

test("the topology is read again after a minute", () => {
  let now = 0;
  const read = createTopologyReader(() => now);
  const host = { sysPath: "/nonexistent", ...ignored } as unknown as Host;
  const first = read(host);
  now = 59_999;
  expect(read(host)).toBe(first);
  now = 60_000;
  expect(read(host)).not.toBe(first);
});

const cpuinfo = `processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Example(R) CPU @ 2.10GHz: special
stepping\t: 8
microcode\t: 0x2b000590
cpu MHz\t\t: 2100.5
cache size\t: 107520 KB
physical id\t: 1
core id\t\t: 12
flags\t\t: fpu aes avx avx2
bugs\t\t: spectre_v1 mds

`;

test("cpu info when asked for, flags and bugs by pattern", async () => {
  const files = { "proc/stat": "cpu 1\n", "proc/cpuinfo": cpuinfo };
  const { series } = await collectFrom(cpu, files, { info_flags_include: "^avx.?$", info_bugs_include: "spectre" });
  expect(series).toEqual([
    'node_cpu_bug_info{bug="spectre_v1"} 1',
    'node_cpu_flag_info{flag="avx"} 1',
    'node_cpu_flag_info{flag="avx2"} 1',
    'node_cpu_frequency_hertz{core="12",cpu="0",package="1"} 2.1005e+09',
    'node_cpu_info{cachesize="107520 KB",core="12",cpu="0",family="6",microcode="0x2b000590",model="143",' +
      'model_name="Example(R) CPU @ 2.10GHz: special",package="1",stepping="8",vendor="GenuineIntel"} 1',
  ]);
  expect((await collectFrom(cpu, files)).series).toEqual([]);
});

test("the intr line is never looked at", () => {
  expect([...parseCpuTimes(`cpu 1\ncpu0 1\nintr ${"0 ".repeat(9)}\ncpu9 1\n`, ignored).keys()]).toEqual(["0"]);
});
