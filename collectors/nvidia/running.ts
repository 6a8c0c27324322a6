import { hostname } from "node:os";
import type { BackgroundContext, MetricFamily } from "../collector.ts";
import type { NvidiaOptions } from "../nvidia.ts";
import { openCounters } from "./counters-file.ts";
import { dcgmFamilies, type DcgmPageOptions } from "./dcgm-page.ts";
import { findNvml } from "./find-library.ts";
import { createNvmlHelper } from "./helper.ts";
import { followKernelXids } from "./kernel-xids.ts";
import { ownFamilies } from "./own-page.ts";
import { createReleaseDesk } from "./release-desk.ts";
import { createGpuWatch, type GpuWatch } from "./watch.ts";
import type { WatchedGpu } from "./watch-state.ts";

/** The collector at work, in the daemon process: it starts the helper, and reads memory when a page is made. */
export interface RunningNvidia {
  families(): MetricFamily[];
  stop(): Promise<void>;
}

/** A machine whose driver comes later is looked at this often. */
const detectMs = 30_000;
const releasePollMs = 2000;
/** A sample may be shown for this many intervals, and the time that a stuck GPU may hold a round up. */
const shownIntervals = 3;

export function startNvidia(options: NvidiaOptions, { host, log, events }: BackgroundContext): RunningNvidia {
  const { hpc_job_mapping_dir: jobFolder, counters_file: countersFile } = options;
  const counters = openCounters(countersFile, log);
  const pageOptions = toPageOptions(options);
  const pids = new Set<number>();
  const intervalMs = options.interval_seconds * 1000;
  const deadlineMs = options.deadline_seconds * 1000;
  const shownMs = shownIntervals * intervalMs + deadlineMs;
  const timers: Timer[] = [];
  let watch: GpuWatch | undefined;
  let xids: { stop(): void } | undefined;

  const begin = (library: string): void => {
    const setup = { library, procPath: host.procPath, jobFolder, countersFile };
    const started = createGpuWatch({
      settings: { reprobeSeconds: options.reprobe_seconds, shownMs, readsFiles: jobFolder + countersFile !== "" },
      helper: createNvmlHelper({ setup, deadlineMs, log, onProcess: (pid) => pids.add(pid) }),
      perLink: counters.needLinks,
      onCounters: counters.take,
      events,
      log,
      now: Date.now,
    });
    watch = started;
    xids = followKernelXids({ device: options.kernel_log, onXid: started.noteXid, log });
    const desk = createReleaseDesk({ file: options.release_file, watch: started, log, now: Date.now });
    void desk.look();
    timers.push(setInterval(() => void desk.look(), releasePollMs).unref());
    timers.push(setInterval(() => void started.round(), intervalMs).unref());
    void started.round();
  };

  const look = (): void => {
    const { library } = findNvml(options.library);
    if (watch === undefined && library !== undefined) begin(library);
  };
  timers.push(setInterval(look, detectMs).unref());
  look();

  return {
    families: () => {
      if (watch === undefined) throw new Error("the GPUs are not read yet");
      const readable = watch.gpus().filter((gpu) => isShown(gpu, shownMs));
      return toFamilies(watch, readable, { ...pageOptions, counters: counters.current() }, Math.max(0, pids.size - 1));
    },
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      xids?.stop();
      await watch?.stop();
    },
  };
}

function isShown({ reading, sampledAtMs }: WatchedGpu, mostMs: number): boolean {
  return reading !== undefined && sampledAtMs !== undefined && Date.now() - sampledAtMs <= mostMs;
}

function toFamilies(
  watch: GpuWatch,
  readable: readonly WatchedGpu[],
  pageOptions: DcgmPageOptions,
  helperRestarts: number,
): MetricFamily[] {
  const gpus = watch.gpus();
  const trouble = watch.trouble();
  // Without any GPU known there is nothing to show but the reason.
  if (gpus.length === 0 && trouble !== undefined) throw new Error(trouble);
  const versions = watch.versions();
  const { driverVersion } = versions;
  const counts = { helperRestarts, abandoned: watch.abandoned(), unreadable: watch.unreadable() };
  return [
    ...dcgmFamilies({ gpus, readable, versions, jobs: watch.jobs(), nowMs: Date.now() }, pageOptions),
    ...ownFamilies({ gpus, readable, driverVersion, ...counts }),
  ];
}

function toPageOptions(options: NvidiaOptions): Omit<DcgmPageOptions, "counters"> {
  const { hostname_label: label } = options;
  return {
    hostnameLabel: label === "none" ? undefined : label,
    // dcgm-exporter's name of the variable; it was made for Kubernetes, where the host name is the pod's.
    hostname: process.env["NODE_NAME"] || hostname(),
    uuidLabel: options.use_old_namespace ? "uuid" : "UUID",
    replaceBlanksInModelName: options.replace_blanks_in_model_name,
  };
}
