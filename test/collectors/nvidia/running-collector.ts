import { readdirSync, readlinkSync } from "node:fs";
import { Value } from "@sinclair/typebox/value";
import type { BackgroundCollector } from "../../../collectors/collector.ts";
import { createEventLog, type EventLog } from "../../../collectors/events.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { nvidia, type NvidiaOptions } from "../../../collectors/nvidia.ts";
import { isErrno } from "../../../collectors/read.ts";
import { createSystemHost } from "../../../collectors/system-host.ts";
import { createLogger } from "../../../runtime/log.ts";
import { buildNvmlLibrary, type NvmlLibrary } from "../../equipment/nvml/library.ts";
import { waitFor } from "../../harness/wait.ts";
import { createWorkspace, type Workspace } from "../../harness/workspace.ts";

/** The collector with real helper processes, over the scripted library. */
export interface RunningCollector extends AsyncDisposable {
  readonly library: NvmlLibrary;
  readonly workspace: Workspace;
  readonly log: readonly Record<string, unknown>[];
  readonly events: EventLog;
  page(): Promise<string>;
  waitForPage(what: string, satisfies: (page: string) => boolean): Promise<string>;
  stop(): Promise<void>;
}

export interface RunningCollectorOptions {
  readonly script?: readonly string[];
  readonly options?: Partial<NvidiaOptions> | ((workspace: Workspace) => Partial<NvidiaOptions>);
  readonly oldDriver?: boolean;
}

export function startCollector({
  script = ["gpus 8"],
  options = {},
  oldDriver = false,
}: RunningCollectorOptions): RunningCollector {
  const workspace = createWorkspace();
  const library = buildNvmlLibrary({ workspace, script, oldDriver });
  const log: Record<string, unknown>[] = [];
  const fast = { interval_seconds: 1, deadline_seconds: 3, reprobe_seconds: 2 };
  const own = typeof options === "function" ? options(workspace) : options;
  const given = {
    library: library.path,
    release_file: workspace.file("run/gpu-release"),
    kernel_log: workspace.file("kmsg"),
    ...fast,
    ...own,
  };
  const collector: BackgroundCollector = nvidia.create(Value.Default(nvidia.options, given) as NvidiaOptions);
  const paths = { procPath: "/proc", sysPath: "/sys", rootPath: "/", udevDataPath: "/run/udev/data" };
  const host = createSystemHost(paths, () => {});
  const logger = createLogger({ level: "debug", write: (line) => void log.push(JSON.parse(line)) });
  const events = createEventLog({ log: logger });
  collector.start({ host, log: logger, events });
  const page = async (): Promise<string> => {
    const families = await collector.collect(host, new AbortController().signal);
    return encodeFamilies(families)
      .map(({ text }) => text)
      .join("");
  };
  return {
    library,
    workspace,
    log,
    events,
    page,
    waitForPage: (what, satisfies) =>
      waitFor(what, async () => {
        const text = await page();
        return satisfies(text) && text;
      }),
    stop: () => collector.stop(),
    [Symbol.asyncDispose]: async () => {
      await collector.stop();
      workspace[Symbol.dispose]();
    },
  };
}

/** How many series a family has. */
export function countSeries(page: string, family: string): number {
  return page.split("\n").filter((line) => line.startsWith(`${family}{`)).length;
}

/** The state of each GPU, by index. */
export function statesOf(page: string): Record<string, string> {
  const current = page.matchAll(/^aami_gpu_state\{gpu="(\d+)",state="(\w+)",[^}]*\} 1$/gm);
  return Object.fromEntries([...current].map(([, gpu = "", state = ""]) => [gpu, state]));
}

export function hasAll(page: string, state: string, count: number): boolean {
  const states = Object.values(statesOf(page));
  return states.length === count && states.every((each) => each === state);
}

/** Helper processes that have this collector's library loaded, children of this very process. */
export function helpersOf({ library }: RunningCollector): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && hasMapped(Number(name), library.path))
    .map(Number);
}

function hasMapped(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/map_files`).some(
      (name) => readlinkSync(`/proc/${pid}/map_files/${name}`) === path,
    );
  } catch (error) {
    // It has ended meanwhile.
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return false;
    throw error;
  }
}

/** When a GPU was last read, Unix time in seconds. */
export function sampledAt(page: string, gpu: string): number {
  const line = new RegExp(`^aami_gpu_last_sample_timestamp_seconds\\{gpu="${gpu}",[^}]*\\} (\\S+)$`, "m").exec(page);
  return Number(line?.[1] ?? Number.NaN);
}
