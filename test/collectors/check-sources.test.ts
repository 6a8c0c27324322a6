import { expect, test } from "bun:test";
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
  });
  const { series } = await host.collect(taskStates.create({}));
  expect(series).toEqual([
    'aami_task_blocked_start_ticks{name="a (b) c",pid="77"} 99',
    'aami_task_state_processes{state="all"} 3',
    'aami_task_state_processes{state="blocked"} 1',
    'aami_task_state_processes{state="zombie"} 1',
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
