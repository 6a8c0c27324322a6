import { type Static, Type } from "@sinclair/typebox";
import { type BackgroundContext, defineBackgroundCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { findNvml } from "./nvidia/find-library.ts";
import { defaultReleaseFile } from "./nvidia/release.ts";
import { type RunningNvidia, startNvidia } from "./nvidia/running.ts";

const NvidiaOptions = Type.Object(
  {
    interval_seconds: Type.Number({
      default: 10,
      minimum: 1,
      maximum: 300,
      description: "Between two readings of a GPU.",
    }),
    deadline_seconds: Type.Number({
      default: 5,
      minimum: 0.5,
      maximum: 60,
      description: "A GPU that has not answered by then is stuck; its process is ended.",
    }),
    reprobe_seconds: Type.Number({
      default: 300,
      minimum: 1,
      maximum: 86400,
      description: "A GPU that is lost, stuck, or had an Xid after which calls hang is tried again after this long.",
    }),
    library: Type.String({
      default: "",
      path: true,
      description: "Path of libnvidia-ml.so.1; empty to look where drivers put it.",
    }),
    counters_file: Type.String({
      default: "",
      path: true,
      description: "A counters file of dcgm-exporter (CSV); empty for its default list.",
    }),
    hostname_label: Type.Union([Type.Literal("Hostname"), Type.Literal("hostname"), Type.Literal("none")], {
      default: "Hostname",
      description: "Key of the host name label of DCGM_FI_*: Hostname up to dcgm-exporter 4.8.2, hostname later.",
    }),
    use_old_namespace: Type.Boolean({
      default: false,
      description: "Label uuid in place of UUID, as dcgm-exporter's option of that name.",
    }),
    replace_blanks_in_model_name: Type.Boolean({
      default: false,
      description: "Dashes for blanks in the modelName label.",
    }),
    hpc_job_mapping_dir: Type.String({
      default: "",
      path: true,
      description: "Folder with a file per GPU that lists the jobs on it (label hpc_job); empty for none.",
    }),
    kernel_log: Type.String({ default: "/dev/kmsg", description: "Kernel log device, for Xids." }),
    release_file: Type.String({
      default: defaultReleaseFile,
      pattern: "^/",
      expects: "a path that begins with /",
      description: "File by which `aami gpu release` asks for the devices.",
    }),
  },
  { additionalProperties: false },
);
export type NvidiaOptions = Static<typeof NvidiaOptions>;

/** NVIDIA GPUs by libnvidia-ml: dcgm-exporter's families under its names, and what it does not tell as aami_gpu_*. */
export const nvidia = defineBackgroundCollector({
  name: "nvidia",
  description: "NVIDIA GPUs by libnvidia-ml in a process of its own: DCGM_FI_* as dcgm-exporter, aami_gpu_*.",
  enabledByDefault: true,
  options: NvidiaOptions,
  create: (options) => {
    let running: RunningNvidia | undefined;
    return {
      detect: async () => {
        const { library, reason } = findNvml(options.library);
        return library === undefined ? { supported: false, reason } : { supported: true };
      },
      start: (context: BackgroundContext) => {
        running = startNvidia(options, context);
      },
      stop: async () => {
        await running?.stop();
        running = undefined;
      },
      collect: async (): Promise<MetricFamily[]> => {
        if (running === undefined) throw new NoDataError("the GPUs are not read yet");
        return running.families();
      },
    };
  },
});
