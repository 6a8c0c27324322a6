import { waitFor } from "../../harness/wait.ts";
import { assert, valueOf } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const patience = { deadlineSeconds: 300 };
const nvme = 'device="nvme0"';

/** Disks that answer SMART to the real smartctl, and a management controller. */
export const devices: Scenario = async ({ machine, node, check }) => {
  await check("the NVMe and the SATA disk are read by smartctl", async () => {
    const page = await node.waitForPage([
      /^smartctl_device\{.*device="nvme0".*serial_number="VMNVME0001".*\} 1$/m,
      /^smartctl_device\{.*device="sda".*serial_number="VMSATA0001".*\} 1$/m,
      /^smartctl_device_smart_status\{device="nvme0".*\} 1$/m,
      /^smartctl_device_smart_status\{device="sda".*\} 1$/m,
      /^smartctl_device_attribute\{.*device="sda".*\} /m,
      /^smartctl_device_temperature\{device="nvme0".*\} [1-9]/m,
      /^aami_smart_device_state\{device="nvme0",state="ok"\} 1$/m,
    ]);
    assert(valueOf(page, "smartctl_devices") === 2, "there are two disks with SMART");
  });

  await check("the temperature of the NVMe disk is a sensor", async () => {
    await node.waitForPage([/^node_hwmon_chip_names\{.*chip_name="nvme"\} 1$/m, /^node_hwmon_temp_celsius\{.*\} \d/m]);
  });

  await check("the management controller is shown, and that it answers", async () => {
    await node.waitForPage([
      'aami_ipmi_interface_info{interface="ipmi0",type="kcs"} 1',
      /^aami_ipmi_transactions_total\{interface="ipmi0"\} [1-9]/m,
      'aami_ipmi_abandoned_transactions_total{interface="ipmi0"} ',
    ]);
  });

  await check("a critical warning of the NVMe disk shows, and goes when it is over", async () => {
    const setWarning = (value: number): Promise<unknown> =>
      machine.monitor("qom-set", { path: "/machine/peripheral/nvme0", property: "smart_critical_warning", value });
    await setWarning(4);
    await node.waitForPage([
      `smartctl_device_critical_warning{${nvme}} 4`,
      new RegExp(`^smartctl_device_smart_status\\{${nvme}\\} 0$`, "m"),
    ]);
    await node.waitForVerdict("smart", "critical");
    await node.waitForStatus(1, [/^CRITICAL smart,/m, /nvme0: reliability is degraded/]);
    await setWarning(0);
    await node.waitForPage([`smartctl_device_critical_warning{${nvme}} 0`]);
    await node.waitForVerdict("smart", "ok");
  });

  await check("a disk that is pulled out disappears, and the log says so", async () => {
    await machine.monitor("device_del", { id: "nvme0" });
    // The kernel takes its time, as it does on a press of a slot's button.
    await machine.run("until [ ! -e /sys/class/nvme/nvme0 ]; do sleep 0.5; done");
    const page = await node.waitForAbsence(/^(smartctl_device|node_disk|node_nvme|aami_smart).*"nvme0(n1)?"/);
    assert(valueOf(page, "smartctl_devices") === 1, "one disk is left");
    assert(valueOf(page, "aami_smart_disappeared_disks_total") === 1, "its disappearance is not counted");
    await node.waitForJournal(/"msg":"disk has disappeared".*nvme0/);
    assert(/^smartctl_device_smart_status\{device="sda".*\} 1$/m.test(page), "the other disk is gone as well");
  });

  await check("a disk that is plugged in is found without a restart", async () => {
    await machine.monitor("blockdev-add", { driver: "null-co", "node-name": "spare", size: 64 * 1024 * 1024 });
    const device = { driver: "nvme", id: "nvme1", drive: "spare", serial: "VMNVME0002", bus: "slot1" };
    // The slot is free a second after the disk is gone.
    await waitFor("the slot to take it", () => machine.monitor("device_add", device).then(() => true), patience);
    await node.waitForPage([/^smartctl_device\{.*serial_number="VMNVME0002".*\} 1$/m]);
  });
};
