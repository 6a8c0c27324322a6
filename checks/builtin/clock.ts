import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../verdict.ts";
import { defineBuiltin } from "./builtin.ts";

export const clockSync = defineBuiltin({
  name: "clock_sync",
  description: "Whether the system clock is synchronised, by the kernel's own account.",
  explanation: [
    "The kernel (adjtimex) says whether a time service disciplines the clock and how wrong it may be by now. A clock " +
      "that is off breaks tokens, certificates and the order of log lines across nodes; NCCL and MPI do not care.",
    "Look at `chronyc tracking` or `timedatectl timesync-status`: the service may be stopped, or its servers out of reach.",
  ],
  source: "timex",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      warning_offset_seconds: t.Number({ default: 0.1, exclusiveMinimum: 0, description: "Offset that is a warning." }),
      critical_offset_seconds: t.Number({ default: 1, exclusiveMinimum: 0, description: "Offset that is critical." }),
      require_synchronised: t.Boolean({
        default: true,
        description: "Warn when no time service disciplines the clock; false where the hypervisor does it.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples }) => {
    const findings: Finding[] = [];
    const offset = samples("node_timex_offset_seconds")[0]?.value;
    const synchronised = samples("node_timex_sync_status")[0]?.value;
    const { warning_offset_seconds: warning, critical_offset_seconds: critical } = parameters;
    if (offset === undefined || synchronised === undefined) {
      findings.push({ status: "unknown", subject: "", summary: "the kernel gave no clock state", action: "none" });
    } else if (Math.abs(offset) >= warning) {
      const status = Math.abs(offset) >= critical ? "critical" : "warning";
      const summary = `the clock is ${Math.abs(offset).toFixed(3)} s off`;
      const remedy =
        "See `chronyc tracking` or `timedatectl timesync-status` for the server that it follows; `chronyc makestep` sets " +
        "the clock at once.";
      findings.push({ status, subject: "", summary, action: "check_configuration", remedy });
    } else if (synchronised === 0 && parameters.require_synchronised) {
      const summary = "no time service disciplines the clock";
      const remedy =
        "`timedatectl set-ntp true` starts the time service that is installed (chrony, systemd-timesyncd); where one runs, " +
        "`chronyc sources` or `timedatectl timesync-status` says whether its servers answer.";
      findings.push({ status: "warning", subject: "", summary, action: "check_configuration", remedy });
    }
    return { findings, summary: `the clock is ${((offset ?? 0) * 1000).toFixed(1)} ms off` };
  },
});
