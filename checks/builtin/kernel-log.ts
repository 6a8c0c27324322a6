import { Type as t } from "@sinclair/typebox";
import type { Labels, Sample } from "../../collectors/collector.ts";
import type { Action, Finding } from "../verdict.ts";
import { defineBuiltin, happened, timeOf } from "./builtin.ts";

/** Words for people, by kind of event; a kind that is not here is shown by its own name. */
const words: Readonly<Record<string, string>> = {
  beyond_end_of_device: "access beyond the end of the device",
  buffer_io_error: "I/O errors",
  disk_io_error: "I/O errors",
  disk_media_error: "media errors",
  filesystem_error: "the file system has met errors",
  filesystem_read_only: "the file system has become read-only",
  filesystem_shutdown: "the file system has shut itself down",
  firmware_error: "the firmware reports a hardware error",
  gpu_fallen_off_bus: "the GPU has fallen off the bus",
  hard_lockup: "a CPU was stuck with interrupts off",
  hung_task: "a task was blocked for minutes",
  kernel_oops: "the kernel has crashed in part (oops)",
  machine_check: "machine check events",
  machine_check_exception: "a machine check exception",
  md_disk_failed: "the disk has failed in its RAID",
  memory_corrected: "corrected memory errors",
  memory_failure: "the kernel has given up a page of bad memory",
  memory_uncorrected: "uncorrected memory errors",
  nfs_not_responding: "the NFS server does not respond",
  nfs_writeback_hung: "processes hang in writing back to an NFS server",
  nvme_gone: "the NVMe controller is gone",
  nvme_reset: "the NVMe controller was reset",
  nvme_timeout: "NVMe commands timed out",
  oom_kill: "processes were killed for want of memory",
  pcie_corrected: "corrected PCIe errors",
  pcie_uncorrected: "uncorrected PCIe errors",
  rcu_stall: "a CPU has stalled (RCU)",
  soft_lockup: "a CPU was stuck in the kernel",
};

const actionOfClass: Readonly<Record<string, Action>> = {
  app: "check_application",
  cpu: "inspect_hardware",
  disk: "inspect_hardware",
  gpu: "inspect_hardware",
  hardware: "inspect_hardware",
  kernel: "reboot",
  memory: "inspect_hardware",
  mount: "check_storage",
  nic: "check_network",
  pcie: "inspect_hardware",
};

const actionOfEvent: Readonly<Record<string, Action>> = {
  file_handles_exhausted: "check_application",
  filesystem_error: "check_storage",
  gpu_driver_mismatch: "check_configuration",
  gpu_fallen_off_bus: "reboot",
  hung_task: "check_storage",
  oom_kill: "check_application",
  rcu_stall: "reboot",
  soft_lockup: "reboot",
};

/** What says that the trouble named first is over. */
const recoveries: Readonly<Record<string, string>> = {
  link_down: "link_up",
  nfs_not_responding: "nfs_responding",
};

export const kernelLog = defineBuiltin({
  name: "kernel_log",
  description: "Hardware and kernel trouble in the kernel log: memory, CPUs, PCIe, disks, links, hung tasks, OOM.",
  explanation: [
    "The kernel has written of trouble. What it is, and of which device, stands in front; `dmesg -T` or `journalctl -k` " +
      "has the lines around it. Xid and SXid errors and AMD GPUs have checks of their own.",
    "Trouble of the last hour has its full weight; after that it is a warning until the look-back time is over, and " +
      "what was a warning is not shown any more. A reboot empties the kernel log, and with it this check.",
  ],
  source: "kmsg",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      recent_minutes: t.Number({
        default: 60,
        exclusiveMinimum: 0,
        description: "Trouble this young has full weight.",
      }),
      lookback_hours: t.Number({ default: 24, exclusiveMinimum: 0, description: "Older trouble is not judged." }),
      ignore: t.Array(t.String({ pattern: "^[a-z_]+$", expects: "a kind of event" }), {
        default: [],
        description: "Kinds of events that are not judged, as in the label event of aami_kernel_log_events_total.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, nowSeconds }) => {
    const last = samples("aami_kernel_log_last_event_timestamp_seconds");
    const counts = new Map(samples("aami_kernel_log_events_total").map((sample) => [keyOf(sample), sample.value]));
    const lastOf = (event: string, device: string): number =>
      Math.max(
        0,
        ...last.filter(({ labels }) => labels["event"] === event && labels["device"] === device).map(valueOf),
      );
    const findings = last.flatMap((sample): Finding[] => {
      const { event = "", device = "", class: eventClass = "" } = sample.labels;
      const age = nowSeconds - sample.value;
      const status = statusOf(sample.labels, age, parameters);
      const recovery = recoveries[event];
      if (status === undefined || event.startsWith("amdgpu_") || parameters.ignore.includes(event)) return [];
      if (recovery !== undefined && lastOf(recovery, device) >= sample.value) return [];
      const times = counts.get(keyOf(sample)) ?? 1;
      const often = times === 1 ? "" : `${times} times, `;
      const summary = `${words[event] ?? event.replaceAll("_", " ")} (${often}last at ${timeOf(sample.value)})`;
      const action = actionOfEvent[event] ?? actionOfClass[eventClass] ?? "none";
      return [{ status, subject: device, summary, action, ...happened(sample.value) }];
    });
    return { findings, summary: "no trouble in the kernel log" };
  },
});

function statusOf(
  { severity }: Labels,
  ageSeconds: number,
  { recent_minutes: recent, lookback_hours: lookback }: { recent_minutes: number; lookback_hours: number },
): "warning" | "critical" | undefined {
  const isRecent = ageSeconds <= recent * 60;
  if (ageSeconds > lookback * 3600 || severity === "info") return undefined;
  if (severity === "fatal") return "critical";
  if (severity === "critical") return isRecent ? "critical" : "warning";
  return isRecent ? "warning" : undefined;
}

function keyOf({ labels }: Sample): string {
  return [labels["event"], labels["device"], labels["severity"]].join("\n");
}

function valueOf({ value }: Sample): number {
  return value;
}
