import { expect, test } from "bun:test";
import { cloudInit } from "../../collectors/cloud-init.ts";
import { gpuDevices } from "../../collectors/gpu-devices.ts";
import { kernelModules } from "../../collectors/kernel-modules.ts";
import { parseTaskStat, taskStates } from "../../collectors/task-states.ts";
import { createFixture } from "./fixture-host.ts";

const stat = (pid: number, name: string, state: string, start = 4711): string =>
  `${pid} (${name}) ${state} 1 ${pid} ${pid} 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 ${start} 1000 200 18446744073709551615\n`;

test("task_states counts zombies and names what is blocked", async () => {
  await using host = await createFixture({
    "proc/1/stat": stat(1, "systemd", "S"),
    "proc/77/stat": stat(77, "a (b) c", "D", 99),
    "proc/78/stat": stat(78, "sleep", "Z"),
    "proc/79/": "",
    "proc/self/stat": stat(1, "not a number", "D"),
    "proc/loadavg": "0.20 0.18 0.12 1/847 11206\n",
    "proc/sys/kernel/pid_max": "32768\n",
    "proc/sys/kernel/threads-max": "192730\n",
  });
  const { series } = await host.collect(taskStates.create({}));
  expect(series).toEqual([
    'aami_task_blocked_start_ticks{name="a (b) c",pid="77"} 99',
    'aami_task_state_processes{state="all"} 3',
    'aami_task_state_processes{state="blocked"} 1',
    'aami_task_state_processes{state="zombie"} 1',
    "aami_task_threads 847",
    "aami_task_threads_max 32768",
  ]);
});

test("task_states keeps to some hundred names", async () => {
  const many = Array.from({ length: 600 }, (_, index): [string, string] => [
    `proc/${index + 1}/stat`,
    stat(index + 1, "nfsd", "D"),
  ]);
  await using host = await createFixture(Object.fromEntries(many));
  const { series } = await host.collect(taskStates.create({}));
  expect(series.filter((line) => line.startsWith("aami_task_blocked"))).toHaveLength(500);
  expect(series).toContain('aami_task_state_processes{state="blocked"} 600');
});

test("a name may hold anything", () => {
  expect(parseTaskStat(stat(5, ") D 1 (", "R", 12))).toEqual({ name: ") D 1 (", state: "R", startTicks: 12 });
});

test("gpu_devices lists what is plugged in, with who has it", async () => {
  const pci = (address: string, vendor: string, pciClass: string, driver?: string) => ({
    [`sys/bus/pci/devices/${address}/vendor`]: `${vendor}\n`,
    [`sys/bus/pci/devices/${address}/class`]: `${pciClass}\n`,
    ...(driver !== undefined && { [`sys/bus/pci/devices/${address}/driver`]: { to: `../../drivers/${driver}` } }),
  });
  await using host = await createFixture({
    ...pci("0000:01:00.0", "0x10de", "0x030000"),
    ...pci("0000:3b:00.0", "0x10de", "0x030200", "nvidia"),
    ...pci("0000:3b:00.1", "0x10de", "0x040300", "snd_hda_intel"),
    ...pci("0000:c1:00.0", "0x1002", "0x038000", "amdgpu"),
  });
  const { series } = await host.collect(gpuDevices.create({}));
  expect(series).toEqual([
    'aami_gpu_pci_device_info{driver="",kind="vga",pci_bus_id="0000:01:00.0"} 1',
    'aami_gpu_pci_device_info{driver="nvidia",kind="3d",pci_bus_id="0000:3b:00.0"} 1',
  ]);
  await using none = await createFixture({ ...pci("0000:c1:00.0", "0x1002", "0x030000", "amdgpu") });
  expect((await none.collect(gpuDevices.create({}))).state).toBe("absent");
});

const stage = (changes: object = {}) => ({
  start: 1000.5,
  finished: 1010.25,
  errors: [],
  recoverable_errors: {},
  ...changes,
});
const cloudStatus = (stages: object) => ({
  "run/cloud-init/status.json": JSON.stringify({ v1: { datasource: "DataSourceNoCloud", stage: null, ...stages } }),
});

test("cloud_init tells stages and errors", async () => {
  await using host = await createFixture(
    cloudStatus({
      "init-local": stage(),
      init: stage({
        errors: ["ssh failed\nbadly"],
        recoverable_errors: { WARNING: ["old key"], ERROR: ["no mirror"] },
      }),
      "modules-config": stage({ start: 2000, finished: null }),
      "modules-final": { start: null, finished: null, errors: [] },
    }),
  );
  const { series } = await host.collect(cloudInit.create({}));
  expect(series).toEqual([
    'aami_cloud_init_error_info{message="no mirror",recoverable="true",stage="init"} 1',
    'aami_cloud_init_error_info{message="ssh failed\\nbadly",recoverable="false",stage="init"} 1',
    'aami_cloud_init_stage_end_timestamp_seconds{stage="init"} 1010.25',
    'aami_cloud_init_stage_end_timestamp_seconds{stage="init-local"} 1010.25',
    'aami_cloud_init_stage_start_timestamp_seconds{stage="init"} 1000.5',
    'aami_cloud_init_stage_start_timestamp_seconds{stage="init-local"} 1000.5',
    'aami_cloud_init_stage_start_timestamp_seconds{stage="modules-config"} 2000',
  ]);
});

test("cloud_init is absent where it has not run, and fails on what it cannot read", async () => {
  await using none = await createFixture({ "run/": "" });
  expect((await none.collect(cloudInit.create({}))).state).toBe("absent");
  for (const text of ["{", "{}", "7"]) {
    await using broken = await createFixture({ "run/cloud-init/status.json": text });
    expect(broken.collect(cloudInit.create({}))).rejects.toThrow();
  }
});

test("kernel_modules lists what is loaded", async () => {
  await using host = await createFixture({
    "proc/modules": "nvidia 1000 2 nvidia_uvm,nvidia_modeset, Live 0x0 (POE)\nib_core 500 0 - Live 0x0\n",
  });
  const { series } = await host.collect(kernelModules.create({}));
  expect(series).toEqual([
    'aami_kernel_module_loaded{module="ib_core"} 1',
    'aami_kernel_module_loaded{module="nvidia"} 1',
  ]);
});

test("a kernel without modules is absent", async () => {
  await using host = await createFixture({ "proc/stat": "" });
  expect((await host.collect(kernelModules.create({}))).state).toBe("absent");
});
