import { Type as t } from "@sinclair/typebox";
import type { Finding } from "../verdict.ts";
import { defineBuiltin, happened, timeOf } from "./builtin.ts";

export const cloudInit = defineBuiltin({
  name: "cloud_init",
  description: "Whether cloud-init has come to its end in this boot, without errors.",
  explanation: [
    "A stage of cloud-init has ended with an error: users, mounts, packages or the scripts of the user data may be " +
      "missing, so the node is not what its image promises. `cloud-init status --long`, /var/log/cloud-init.log and " +
      "/var/log/cloud-init-output.log have the whole of it.",
    "A stage that goes on for long waits for something: a package mirror, a metadata service, or a script of the user " +
      "data that does not end. Repair the cause and reboot, or launch the instance anew; running the modules again by " +
      "hand also runs the scripts of the user data again.",
  ],
  source: "cloud_init",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      stage_minutes: t.Number({
        default: 60,
        exclusiveMinimum: 0,
        description: "Time that a stage may take before it is a warning.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, nowSeconds }) => {
    const byStage = (family: string): Map<string, number> =>
      new Map(samples(family).map(({ labels, value }) => [labels["stage"] ?? "", value]));
    const starts = byStage("aami_cloud_init_stage_start_timestamp_seconds");
    const ends = byStage("aami_cloud_init_stage_end_timestamp_seconds");
    const findings = samples("aami_cloud_init_error_info").map(({ labels }): Finding => {
      const { stage = "", recoverable, message = "" } = labels;
      const status = recoverable === "true" ? "warning" : "critical";
      const at = ends.get(stage) ?? starts.get(stage);
      const when = at === undefined ? {} : happened(at);
      return { status, subject: `stage ${stage}`, summary: message, action: "check_configuration", ...when };
    });
    const running = [...starts].filter(([stage]) => !ends.has(stage));
    for (const [stage, start] of running) {
      if (nowSeconds - start < parameters.stage_minutes * 60) continue;
      const summary = `goes on since ${timeOf(start)}`;
      findings.push({ status: "warning", subject: `stage ${stage}`, summary, action: "check_configuration" });
    }
    const [first] = running;
    const last = Math.max(0, ...ends.values());
    const summary = first === undefined ? `done at ${timeOf(last)}, without errors` : `stage ${first[0]} is running`;
    return { findings, summary };
  },
});
