import { Type as t } from "@sinclair/typebox";
import { defineBuiltin } from "./builtin.ts";

export const zombies = defineBuiltin({
  name: "zombies",
  description: "Processes that have ended and that their parent has not waited for.",
  explanation: [
    "A zombie costs only its process number, but thousands of them use those up, and then nothing can be started. " +
      "The parent is at fault, often a container without an init: `ps -eo ppid,stat | awk '$2 ~ /Z/ {print $1}' | " +
      "sort | uniq -c` names it. They go with it.",
  ],
  source: "task_states",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      warning_processes: t.Integer({ default: 1000, minimum: 1, description: "Number that is a warning." }),
      critical_processes: t.Integer({ default: 5000, minimum: 1, description: "Number that is critical." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const number = samples("aami_task_state_processes").find(({ labels }) => labels["state"] === "zombie")?.value;
    if (number === undefined) {
      const summary = "the processes could not be counted";
      return { findings: [{ status: "unknown", subject: "", summary, action: "none" }], summary };
    }
    const summary = number === 1 ? "1 zombie process" : `${number} zombie processes`;
    if (number < parameters.warning_processes) return { findings: [], summary };
    const status = number >= parameters.critical_processes ? "critical" : "warning";
    return { findings: [{ status, subject: "", summary, action: "check_application" }], summary };
  },
});
