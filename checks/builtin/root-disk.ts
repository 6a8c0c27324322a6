import { Type as t } from "@sinclair/typebox";
import type { Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { bytes, defineBuiltin, percent } from "./builtin.ts";

const ratio = (value: number, description: string) => t.Number({ default: value, minimum: 0, maximum: 1, description });

export const rootDisk = defineBuiltin({
  name: "root_disk",
  description: "Free space and inodes of the root file system.",
  explanation: [
    "With a full root file system services cannot write their state and nobody can log in. Container images, core " +
      "dumps, logs and the caches of frameworks under /root and /home are what usually fills it.",
    "`du -xh --max-depth=2 / | sort -h | tail -20` finds the space, `du -x --inodes --max-depth=3 / | sort -n | tail` " +
      "the inodes.",
  ],
  source: "filesystem",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      warning_free_ratio: ratio(0.1, "Free share of the space that is a warning."),
      critical_free_ratio: ratio(0.03, "Free share of the space that is critical."),
      critical_free_bytes: t.Integer({ default: 500_000_000, minimum: 0, description: "Free space that is critical." }),
      warning_free_inodes_ratio: ratio(0.05, "Free share of the inodes that is a warning."),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const of = (family: string): number | undefined => samples(family).find(isRoot)?.value;
    if (of("node_filesystem_device_error") === undefined) {
      return { findings: [], summary: "", absent: "the root file system has not been probed yet" };
    }
    const size = of("node_filesystem_size_bytes");
    const free = of("node_filesystem_avail_bytes");
    if (size === undefined || free === undefined || size === 0) {
      const summary = "the root file system has not answered";
      return { findings: [{ status: "unknown", subject: "/", summary, action: "none" }], summary };
    }
    const findings: Finding[] = [];
    const summary = `${bytes(free)} of ${bytes(size)} free (${percent(free / size)})`;
    const isCritical = free / size < parameters.critical_free_ratio || free < parameters.critical_free_bytes;
    if (isCritical || free / size < parameters.warning_free_ratio) {
      findings.push({ status: isCritical ? "critical" : "warning", subject: "/", summary, action: "free_space" });
    }
    const inodes = of("node_filesystem_files") ?? 0;
    const freeInodes = of("node_filesystem_files_free") ?? 0;
    // btrfs and some others have no fixed number of inodes and say 0.
    if (inodes > 0 && freeInodes / inodes < parameters.warning_free_inodes_ratio) {
      const status = freeInodes === 0 ? "critical" : "warning";
      findings.push({ status, subject: "/", summary: `${freeInodes} of ${inodes} inodes free`, action: "free_space" });
    }
    return { findings, summary };
  },
});

function isRoot({ labels }: Sample): boolean {
  return labels["mountpoint"] === "/";
}
