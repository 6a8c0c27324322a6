import { Type as t } from "@sinclair/typebox";
import { defineBuiltin, percent } from "./builtin.ts";

const ratio = (value: number, description: string) =>
  t.Number({ default: value, exclusiveMinimum: 0, maximum: 1, description });

export const processTable = defineBuiltin({
  name: "process_table",
  description: "Threads of all processes against the number that the kernel allows.",
  explanation: [
    "Every thread takes a process number. With kernel.pid_max or kernel.threads-max used up no process can be started and " +
      "no thread created: services die, jobs end with `Resource temporarily unavailable`, and nobody can log in.",
    "`ps -eo nlwp,pid,comm --sort nlwp | tail` names who has the most. Data loaders with many workers and a BLAS that " +
      "starts a thread for each core multiply each other; kernel.pid_max may go up to 4194304.",
  ],
  source: "task_states",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      warning_ratio: ratio(0.8, "Share that is a warning."),
      critical_ratio: ratio(0.95, "Share that is critical."),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const threads = samples("aami_task_threads")[0]?.value;
    const most = samples("aami_task_threads_max")[0]?.value;
    if (threads === undefined || most === undefined) {
      const summary = "the threads could not be counted";
      return { findings: [{ status: "unknown", subject: "", summary, action: "none" }], summary };
    }
    const used = threads / most;
    const summary = `${threads} of ${most} threads (${percent(used)})`;
    if (used < parameters.warning_ratio) return { findings: [], summary };
    const status = used >= parameters.critical_ratio ? "critical" : "warning";
    return { findings: [{ status, subject: "", summary, action: "check_application" }], summary };
  },
});
