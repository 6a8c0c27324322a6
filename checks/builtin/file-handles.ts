import { Type as t } from "@sinclair/typebox";
import { defineBuiltin, percent } from "./builtin.ts";

export const fileHandles = defineBuiltin({
  name: "file_handles",
  description: "Open file handles of the whole machine against their limit.",
  explanation: [
    "At the limit (fs.file-max) no process can open a file or a socket any more, root excepted. Something leaks " +
      "descriptors, or a job opens one file per sample and worker.",
    "`lsof -n | awk '{print $2}' | sort | uniq -c | sort -n | tail` names the processes that hold the most.",
  ],
  source: "filefd",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      limit: t.Integer({
        default: 10_000_000,
        minimum: 1,
        description: "Counts as the limit where fs.file-max is higher, which on today's systems means unlimited.",
      }),
      warning_ratio: t.Number({
        default: 0.8,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share that is a warning.",
      }),
      critical_ratio: t.Number({
        default: 0.95,
        exclusiveMinimum: 0,
        maximum: 1,
        description: "Share that is critical.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const allocated = samples("node_filefd_allocated")[0]?.value;
    const maximum = samples("node_filefd_maximum")[0]?.value;
    if (allocated === undefined || maximum === undefined) {
      const summary = "the kernel gave no number of open files";
      return { findings: [{ status: "unknown", subject: "", summary, action: "none" }], summary };
    }
    const limit = Math.min(maximum, parameters.limit);
    const summary = `${allocated} of ${limit} file handles in use (${percent(allocated / limit)})`;
    const used = allocated / limit;
    if (used < parameters.warning_ratio) return { findings: [], summary };
    const status = used >= parameters.critical_ratio ? "critical" : "warning";
    return { findings: [{ status, subject: "", summary, action: "check_application" }], summary };
  },
});
