import { seriesValue } from "../../harness/daemon.ts";
import { assert } from "../node.ts";
import type { Scenario } from "../scenario.ts";

/** What a real kernel writes about its own trouble. */
export const kernelLog: Scenario = async ({ machine, node, check }) => {
  await check("the kernel log is read from its beginning", async () => {
    const page = await node.waitForPage([/^aami_kernel_log_records_total [1-9]/m]);
    assert((seriesValue(page, "aami_kernel_log_records_total") ?? 0) > 100, "fewer records than a boot writes");
  });

  await check("a corrected machine check is counted", async () => {
    await machine.run("echo 2 >/sys/devices/system/machinecheck/machinecheck0/check_interval");
    // CPU 0, bank 9: valid, corrected, with an address.
    await machine.monitor("human-monitor-command", {
      "command-line": "mce 0 9 0x9c00000000000000 0x0 0x12345000 0x8c",
    });
    await node.waitForPage([/^aami_kernel_log_events_total\{.*event="machine_check".*\} [1-9]/m]);
    await node.waitForVerdict("kernel_log", "warning");
    await node.waitForStatus(1, [/^WARNING kernel_log,/m, /machine check events/]);
  });

  await check("a process that the kernel kills for memory is counted", async () => {
    await machine.try("systemd-run --quiet --wait -p MemoryMax=20M -p MemorySwapMax=0 python3 -c 'b\"x\" * 200000000'");
    await node.waitForPage([/^aami_kernel_log_events_total\{.*event="oom_kill".*\} [1-9]/m]);
  });

  await check("lines that a program writes are not taken for the kernel's", async () => {
    const mark = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.";
    await machine.run(`echo '<3>${mark}' >/dev/kmsg`);
    await machine.run("echo 1 >/proc/sys/kernel/sysrq; echo h >/proc/sysrq-trigger");
    const before = seriesValue(await node.page(), "aami_kernel_log_records_total") ?? 0;
    await machine.run("echo h >/proc/sysrq-trigger");
    const page = await node.waitForPage([new RegExp(`^aami_kernel_log_records_total (?!${before}$)\\d+$`, "m")]);
    assert(!page.includes("aami_gpu_xid_errors_total{"), "a forged Xid was counted");
  });
};
