import type { EventLog, HardwareEvent } from "../events.ts";
import type { Logger } from "../../runtime/log.ts";
import { describeFault, isDeviceGone, isLibraryGone, nvmlCodeName } from "./errors.ts";
import { describeAnswer, isAboutLibrary, type NvmlHelper } from "./helper.ts";
import type { HpcJobs } from "./hpc-jobs.ts";
import { toKernelBusId } from "./pci-bus-id.ts";
import type { DeviceList, GpuReading } from "./reading.ts";
import {
  addXid,
  applyReading,
  applyTrouble,
  createWatchedGpu,
  makesCallsHang,
  unread,
  type SeenXid,
  type WatchedGpu,
} from "./watch-state.ts";

export interface WatchSettings {
  /** A GPU that is lost, stuck or skipped is tried again after this long. */
  readonly reprobeSeconds: number;
  /** A reading is good for this long. */
  readonly shownMs: number;
  /** Whether there are files of the operator to look at. */
  readonly readsFiles: boolean;
}

export interface WatchDependencies {
  readonly settings: WatchSettings;
  readonly helper: NvmlHelper;
  /** Whether the traffic of every NVLink is wanted. */
  readonly perLink: () => boolean;
  readonly onCounters: (text: string) => void;
  readonly events: Pick<EventLog, "record">;
  readonly log: Logger;
  readonly now: () => number;
}

/** The GPUs of this node, sampled through the helper; says of each one in what state it is. */
export interface GpuWatch {
  /** One look at every GPU that is due; comes back when all have answered or were given up. */
  round(): Promise<void>;
  noteXid(xid: SeenXid): void;
  gpus(): readonly WatchedGpu[];
  /** What keeps the library as a whole from being used; undefined while it is well. */
  trouble(): string | undefined;
  versions(): Pick<DeviceList, "driverVersion" | "nvmlVersion">;
  /** Devices that the driver counts and does not let us open. */
  unreadable(): number;
  jobs(): HpcJobs;
  abandoned(): number;
  /** Gives the devices back to the driver; nothing is read until `resume`. */
  release(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

/** GPUs that were added while all is well are found this often: a new list costs an interval of GPM metrics. */
const relistMs = 3_600_000;
const releasedReason = "aami gpu release";
/** Xids of the kernel log that are kept until it is known whose they are. */
const earlyMost = 1000;
/** A GPU that merely fails is tried at once this many times before it has to wait. */
const quickRetries = 2;

export function createGpuWatch(dependencies: WatchDependencies): GpuWatch {
  const { settings, helper, perLink, onCounters, events, log, now } = dependencies;
  const reprobeMs = settings.reprobeSeconds * 1000;
  const gpus = new Map<string, WatchedGpu>();
  const early: SeenXid[] = [];
  const reported = new Set<string>();
  let list: DeviceList | undefined;
  let listDueAt = 0;
  let trouble: string | undefined;
  let jobs: HpcJobs = {};
  let busy: Promise<void> | undefined;
  /** While this is so nothing may be asked: it would start a process that opens the devices again. */
  let released = false;

  const round = (): Promise<void> => {
    busy ??= work().finally(() => (busy = undefined));
    return busy;
  };

  const work = async (): Promise<void> => {
    if (released) return;
    if (isListDue()) await readList();
    if (trouble !== undefined) return;
    // Those first that there was no time for in the last round.
    const due = [...gpus.values()]
      .filter(({ retryAtMs }) => retryAtMs <= now())
      .sort((a, b) => (a.sampledAtMs ?? 0) - (b.sampledAtMs ?? 0));
    await Promise.all(due.filter(({ state }) => state === "ok" || state === "failed").map(sample));
    await Promise.all(due.filter(({ state }) => state !== "ok" && state !== "failed").map(sample));
    if (trouble !== undefined) return;
    await readEvents();
    if (settings.readsFiles) await readFiles();
  };

  /** A library that is well is not closed and opened while a GPU is sick: to open it anew takes that GPU's answer. */
  const isListDue = (): boolean => {
    const isNeeded = list === undefined || trouble !== undefined;
    return (
      now() >= listDueAt &&
      (isNeeded || [...gpus.values()].every(({ state }) => state === "ok" || state === "released"))
    );
  };

  const readList = async (): Promise<void> => {
    const answer = await helper.list("first");
    if (released) return;
    if (answer.status !== "done") return giveUpLibrary(describeAnswer(answer));
    if (trouble !== undefined) log.info("gpu driver answers again", { gpus: answer.value.gpus.length });
    trouble = undefined;
    takeList(answer.value);
    for (const gpu of gpus.values()) if (gpu.state === "released") takeBack(gpu);
    for (const xid of early.splice(0)) noteXid(xid);
  };

  const takeList = (next: DeviceList): void => {
    list = next;
    listDueAt = now() + (next.unreadable.length > 0 ? reprobeMs : relistMs);
    for (const identity of next.gpus) {
      // Another board in the same slot takes the place of the one before.
      for (const { identity: known } of gpus.values()) {
        if (known.pciBusId === identity.pciBusId && known.uuid !== identity.uuid) gpus.delete(known.uuid);
      }
      if (!gpus.has(identity.uuid)) gpus.set(identity.uuid, createWatchedGpu(identity));
    }
    noteMissing(next);
  };

  /** Whatever it was before: devices are released to be reset. */
  const takeBack = (gpu: WatchedGpu): void => {
    applyTrouble(gpu, "failed", unread);
    gpu.retryAtMs = 0;
    gpu.failures = 0;
  };

  const noteMissing = ({ gpus: seen, unreadable }: DeviceList): void => {
    for (const { index, fault } of unreadable) {
      reportOnce(`open ${index}`, "gpu cannot be opened", { gpu: index, reason: describeFault(fault) });
    }
    for (const gpu of gpus.values()) {
      if (seen.some(({ uuid }) => uuid === gpu.identity.uuid)) continue;
      const fault = unreadable.find(({ index }) => index === gpu.identity.index)?.fault;
      if (gpu.state === "ok" || gpu.state === "failed") {
        giveUp(gpu, "lost", fault === undefined ? "the driver no longer lists it" : describeFault(fault));
      }
    }
  };

  /** The driver was unloaded or replaced, or does not answer: the next try is with a new process. */
  const giveUpLibrary = (reason: string): void => {
    if (trouble === undefined) log.error("gpu driver does not answer", { reason });
    trouble = reason;
    listDueAt = now() + Math.min(reprobeMs, 30_000);
    for (const gpu of gpus.values()) applyTrouble(gpu, "failed", reason);
    void helper.finish();
  };

  const sample = async (gpu: WatchedGpu): Promise<void> => {
    if (released || trouble !== undefined) return;
    const { pciBusId } = gpu.identity;
    const isRetry = gpu.state !== "ok" && gpu.state !== "failed";
    const startedAt = performance.now();
    // A GPU that was reset comes back only to a library that is opened anew.
    const reopened = isRetry && !helper.isHeld(pciBusId) ? await helper.list("again") : undefined;
    if (released) return;
    if (reopened?.status === "done") takeList(reopened.value);
    const answer =
      reopened === undefined || reopened.status === "done"
        ? await helper.sample({ pciBusId, perLink: perLink() })
        : reopened;
    // Meanwhile an Xid may have said that it is not to be called, or the driver have gone altogether.
    if (released || trouble !== undefined || gpu.retryAtMs > now()) return;
    // Its last reading stands until it is too old; the watchdog deals with those that hold the processes up.
    if (answer.status === "unasked") return isStale(gpu) ? giveUp(gpu, "failed", describeAnswer(answer)) : undefined;
    gpu.durationSeconds = (performance.now() - startedAt) / 1000;
    if (answer.status === "done") return accept(gpu, answer.value);
    const reason = describeAnswer(answer);
    if (answer.status === "fault") {
      if (isLibraryGone(answer.fault.code)) return giveUpLibrary(reason);
      return giveUp(gpu, isDeviceGone(answer.fault.code) ? "lost" : "failed", reason);
    }
    // A GPU must not be blamed for a library that hangs when it is loaded, unless it is the suspect anyway.
    if (answer.status === "stuck" && isAboutLibrary(answer.step) && !isRetry) return giveUpLibrary(reason);
    giveUp(gpu, answer.status === "stuck" ? "stuck" : "failed", reason);
  };

  const isStale = ({ state, sampledAtMs }: WatchedGpu): boolean =>
    state === "ok" && sampledAtMs !== undefined && now() - sampledAtMs > settings.shownMs;

  const accept = (gpu: WatchedGpu, reading: GpuReading): void => {
    const { state, identity } = gpu;
    if (state !== "ok" && gpu.sampledAtMs !== undefined) {
      log.info("gpu can be read again", { gpu: identity.index, uuid: identity.uuid, before: state });
    }
    applyReading(gpu, reading, now());
    for (const [call, code] of Object.entries(reading.failures)) {
      const fields = { gpu: identity.index, call, code: nvmlCodeName(code) };
      reportOnce(`${identity.uuid} ${call} ${code}`, "gpu reading left out", fields);
    }
  };

  const giveUp = (gpu: WatchedGpu, state: WatchedGpu["state"], reason: string): void => {
    const { index, uuid, pciBusId } = gpu.identity;
    if (gpu.state !== state || gpu.reason === unread) {
      log.warn("gpu cannot be read", { gpu: index, uuid, pci_bus_id: pciBusId, state, reason });
      const severity = state === "failed" ? "warning" : "critical";
      record(gpu, { kind: `gpu_${state}`, severity, atMs: now(), message: `GPU ${index} cannot be read: ${reason}` });
    }
    applyTrouble(gpu, state, reason);
    gpu.failures++;
    gpu.retryAtMs = state === "failed" && gpu.failures <= quickRetries ? 0 : now() + reprobeMs;
  };

  const readEvents = async (): Promise<void> => {
    if (released) return;
    const answer = await helper.events();
    if (answer.status !== "done") return;
    for (const event of answer.value) noteXid({ ...event, source: "driver", atMs: now() });
  };

  const readFiles = async (): Promise<void> => {
    if (released) return;
    const answer = await helper.files();
    // Job labels of a mapping that cannot be read would be of jobs long gone.
    jobs = answer.status === "done" ? answer.value.jobs : {};
    if (answer.status === "done" && answer.value.counters !== undefined) onCounters(answer.value.counters);
    if (answer.status !== "done") {
      reportOnce(`files ${answer.status}`, "job mapping and counters file cannot be read", {
        reason: describeAnswer(answer),
      });
    }
  };

  const noteXid = (xid: SeenXid): void => {
    const gpu = [...gpus.values()].find(
      ({ identity }) => toKernelBusId(identity.pciBusId) === toKernelBusId(xid.pciBusId),
    );
    if (gpu === undefined) {
      if (list !== undefined) return;
      early.push(xid);
      if (early.length > earlyMost) early.shift();
      return;
    }
    if (!addXid(gpu, xid)) return;
    const { code, atMs } = xid;
    // What the kernel log says is recorded by the collector that reads all of it.
    if (xid.source === "driver") {
      record(gpu, { kind: "gpu_xid", severity: "warning", atMs, code, message: `Xid ${code}, told by the driver` });
    }
    if (released || !makesCallsHang(code)) return;
    const retryAtMs = xid.atMs + reprobeMs;
    // One from long ago was survived, or is found out by the watchdog.
    if (retryAtMs <= now()) return;
    giveUp(gpu, "skipped", `Xid ${xid.code}`);
    gpu.retryAtMs = retryAtMs;
  };

  const record = (gpu: WatchedGpu, event: Omit<HardwareEvent, "key" | "source" | "device">): void => {
    const { uuid, pciBusId } = gpu.identity;
    const key = `nvidia:${uuid}:${event.kind}:${event.code ?? ""}:${event.atMs}`;
    events.record({ ...event, key, source: "nvidia", device: toKernelBusId(pciBusId) });
  };

  const reportOnce = (key: string, message: string, fields: Record<string, unknown>): void => {
    if (reported.has(key)) return;
    reported.add(key);
    log.warn(message, fields);
  };

  return {
    round,
    noteXid,
    gpus: () => [...gpus.values()],
    trouble: () => trouble ?? (list === undefined ? (released ? releasedReason : unread) : undefined),
    versions: () => ({ driverVersion: list?.driverVersion ?? "", nvmlVersion: list?.nvmlVersion ?? "" }),
    unreadable: () => list?.unreadable.length ?? 0,
    jobs: () => jobs,
    abandoned: helper.abandoned,
    release: async () => {
      released = true;
      for (const gpu of gpus.values()) applyTrouble(gpu, "released", releasedReason);
      await helper.finish();
    },
    resume: () => {
      released = false;
      listDueAt = 0;
    },
    stop: async () => {
      released = true;
      await helper.finish();
    },
  };
}
