import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, percent } from "./builtin.ts";

export const nvmeWear = defineBuiltin({
  name: "nvme_wear",
  description: "How much of its rated endurance each NVMe disk has used, and whether spare blocks are left.",
  explanation: [
    "percentage_used is the vendor's estimate from the bytes written; at 100 % the rated life is over, and the disk may " +
      "go on for long. Without spare blocks it becomes read-only. Plan the replacement at the warning.",
    "A scratch disk that wears fast takes checkpoints or a swap that it was not made for: iostat names the writer's disk, " +
      "`pidstat -d` the writer.",
  ],
  source: "smart",
  intervalSeconds: 300,
  parameters: t.Object(
    {
      warning_used_ratio: t.Number({ default: 0.9, exclusiveMinimum: 0, description: "Used share that is a warning." }),
      critical_used_ratio: t.Number({ default: 1, exclusiveMinimum: 0, description: "Used share that is critical." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const used = samples("smartctl_device_percentage_used");
    if (used.length === 0) return { findings: [], summary: "", absent: "no NVMe disk that tells its wear" };
    const worn = used.flatMap(({ labels, value }): Finding[] => {
      const ratio = value / 100;
      if (ratio < parameters.warning_used_ratio) return [];
      const status = ratio >= parameters.critical_used_ratio ? "critical" : "warning";
      const summary = `${percent(ratio)} of its endurance used`;
      return [{ status, subject: labels["device"] ?? "", summary, action: "inspect_hardware" }];
    });
    const spare = new Map(
      samples("smartctl_device_available_spare").map(({ labels, value }) => [labels["device"], value]),
    );
    const exhausted = samples("smartctl_device_available_spare_threshold").flatMap(({ labels, value }): Finding[] => {
      const left = spare.get(labels["device"]);
      if (left === undefined || left >= value) return [];
      const summary = `${left} % of its spare blocks left, less than its threshold of ${value} %`;
      return [{ status: "critical", subject: labels["device"] ?? "", summary, action: "inspect_hardware" }];
    });
    const most = Math.max(...used.map(({ value }) => value));
    return { findings: [...worn, ...exhausted], summary: `${count(used.length, "disk")}, the most used at ${most} %` };
  },
});
