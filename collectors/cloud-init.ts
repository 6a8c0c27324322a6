import { Type } from "@sinclair/typebox";
import { join } from "node:path";
import { defineCollector, NoDataError } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { readTextIfPresent } from "./read.ts";

const stages = ["init-local", "init", "modules-config", "modules-final"] as const;

const head = {
  start: gauge("aami_cloud_init_stage_start_timestamp_seconds", "Unix time at which a stage of cloud-init began."),
  end: gauge("aami_cloud_init_stage_end_timestamp_seconds", "Unix time at which a stage of cloud-init ended."),
  error: gauge(
    "aami_cloud_init_error_info",
    "An error of cloud-init in this boot, by stage; recoverable ones did not end the stage. Value is always 1.",
  ),
};

const mostErrors = 10;
const longestMessage = 200;

/** /run/cloud-init/status.json, which cloud-init writes as it goes; for the check cloud_init. */
export const cloudInit = {
  ...defineCollector({
    name: "cloud_init",
    description: "Stages and errors of cloud-init in this boot, for the check cloud_init.",
    enabledByDefault: true,
    options: Type.Object({}, { additionalProperties: false }),
    create: () => ({
      collect: async ({ rootPath }) => {
        const text = readTextIfPresent(join(rootPath, "run/cloud-init/status.json"));
        if (text === undefined) throw new NoDataError("cloud-init has not run since the node was booted");
        const status = field(JSON.parse(text), "v1");
        if (status === undefined) throw new Error("run/cloud-init/status.json: no v1");
        const set = createFamilySet();
        for (const stage of stages) addStage(stage, field(status, stage), set);
        return set.list();
      },
    }),
  }),
  forChecks: true,
} as const;

function addStage(stage: string, told: unknown, set: ReturnType<typeof createFamilySet>): void {
  set.add(head.start, { stage }, numberOf(field(told, "start")));
  set.add(head.end, { stage }, numberOf(field(told, "finished")));
  const recoverable = field(told, "recoverable_errors");
  // Warnings and deprecations are no errors; every second image has some.
  const lists = [field(told, "errors"), field(recoverable, "ERROR"), field(recoverable, "CRITICAL")];
  for (const [index, list] of lists.entries()) {
    const messages = Array.isArray(list) ? list.slice(0, mostErrors).map(String) : [];
    for (const message of new Set(messages)) {
      const labels = { stage, recoverable: String(index > 0), message: message.slice(0, longestMessage) };
      set.add(head.error, labels, 1);
    }
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
