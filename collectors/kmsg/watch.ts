import { randomUUID } from "node:crypto";
import { uptime } from "node:os";
import { describeError, type Logger } from "../../runtime/log.ts";
import type { EventLog } from "../events.ts";
import { errnoOf } from "../read.ts";
import { createKernelCounts, type KernelCounts } from "./counts.ts";
import { createXidSources, listDriverXids, type XidSources } from "./driver-xids.ts";
import { type KernelLog, openKernelLog } from "./follower.ts";
import { parseMemory } from "./memory.ts";
import { recognise } from "./patterns.ts";
import type { KernelRecord } from "./record.ts";
import { createThrottle } from "./throttle.ts";

const pollMs = 500;
/** A flood is taken in slices with pauses, so that pages are served in between. */
const recordsPerSlice = 250;
const pauseMs = 10;
const retryMs = 60_000;
/** A cursor that moved over harmless records only is not worth a write each time. */
const saveCursorMs = 10_000;
const kernelFacility = 0;
const messageLength = 300;
const memoryName = "kmsg";
/** A flood of one kind is counted in full, and told now and then. */
const eventLimits = { burst: 10, refillSeconds: 600 };

export interface KernelWatchOptions {
  readonly device: string;
  readonly acceptUserRecords: boolean;
  /** Undefined where the kernel does not tell: then nothing is taken over from an earlier daemon. */
  readonly bootId: string | undefined;
  readonly log: Logger;
  readonly events: EventLog;
  readonly open?: (device: string, firstSequence?: number) => KernelLog;
}

/** Follows the kernel log, counts what it says, and remembers both over a restart of the daemon. */
export interface KernelWatch {
  readonly counts: KernelCounts;
  /** Counts the Xids that the driver has told of and the kernel log has not. */
  countDriverXids(): void;
  /** Why the log cannot be read. */
  error(): unknown;
  stop(): void;
}

export function watchKernelLog(options: KernelWatchOptions): KernelWatch {
  const { device, log, events, open = openKernelLog } = options;
  const bootId = options.bootId ?? randomUUID();
  const counts = createKernelCounts();
  const sources = createXidSources();
  const note = createNoter(options, { counts, bootId, sources });
  const memory = parseMemory(events.saved(memoryName), bootId);
  if (memory !== undefined) {
    counts.restore(memory.counted);
    counts.lost(memory.lost);
  }
  let nextSequence = memory?.nextSequence;
  let driverToldMs = memory?.driverToldMs ?? Date.now() - uptime() * 1000;
  let kernelLog: KernelLog | undefined;
  let failure: unknown;
  let savedAt = performance.now();

  const remember = (): void => {
    savedAt = performance.now();
    if (nextSequence === undefined) return;
    const text = { bootId, nextSequence, driverToldMs, lost: counts.lostTotal(), counted: counts.counted() };
    events.save(memoryName, JSON.stringify(text));
  };

  /** Milliseconds until the next slice. */
  const slice = (): number => {
    kernelLog ??= open(device, nextSequence);
    const { records, lost, isEnd } = kernelLog.read(recordsPerSlice);
    counts.read(records.length);
    counts.lost(lost);
    const noted = records.filter(note).length;
    nextSequence = kernelLog.nextSequence() ?? nextSequence;
    if (noted > 0 || lost > 0 || performance.now() - savedAt > saveCursorMs) remember();
    return isEnd ? pollMs : pauseMs;
  };

  const attempt = (): number => {
    try {
      const waitMs = slice();
      if (failure !== undefined) log.info("kernel log can be read again", { device });
      failure = undefined;
      return waitMs;
    } catch (error) {
      if (failure === undefined) reportFailure(device, error, log);
      failure = error;
      kernelLog?.close();
      kernelLog = undefined;
      return retryMs;
    }
  };

  let timer: ReturnType<typeof setTimeout> | undefined;
  const turn = (): void => {
    timer = setTimeout(turn, attempt()).unref();
  };
  turn();
  return {
    counts,
    countDriverXids: () => {
      for (const { event, atMs } of listDriverXids(events, driverToldMs)) {
        driverToldMs = atMs;
        if (sources.isNew("driver", event, atMs / 1000)) counts.add(event, atMs / 1000);
      }
    },
    error: () => failure,
    stop: () => {
      clearTimeout(timer);
      kernelLog?.close();
      remember();
    },
  };
}

/** Counts a record and tells of it; false for one that is no event. */
function createNoter(
  { acceptUserRecords, events }: KernelWatchOptions,
  { counts, bootId, sources }: { readonly counts: KernelCounts; readonly bootId: string; readonly sources: XidSources },
): (record: KernelRecord) => boolean {
  const throttle = createThrottle(eventLimits);
  return ({ facility, text, uptimeSeconds, sequence }) => {
    // Any program may write to /dev/kmsg, but only the kernel writes as facility 0.
    if (facility !== kernelFacility && !acceptUserRecords) return false;
    const event = recognise(text);
    if (event === undefined) return false;
    const atSeconds = Date.now() / 1000 - uptime() + uptimeSeconds;
    if (event.id !== "gpu_xid" || sources.isNew("kernel log", event, atSeconds)) counts.add(event, atSeconds);
    // The driver was first, and its events do not tell the sub-code.
    else counts.refine(event, atSeconds);
    const { id: kind, severity, device, code } = event;
    if (!throttle.admits(`${kind} ${device} ${code ?? ""}`, uptimeSeconds)) return true;
    const facts = { kind, severity, device, ...(code === undefined ? {} : { code }) };
    const message = text.slice(0, messageLength);
    events.record({
      key: `kmsg:${bootId}:${sequence}`,
      atMs: Math.round(atSeconds * 1000),
      source: "kmsg",
      ...facts,
      message,
    });
    return true;
  };
}

function reportFailure(device: string, error: unknown, log: Logger): void {
  const remedy = errnoOf(error) === "EPERM" ? "run as root, or give CAP_SYSLOG" : undefined;
  log.warn("kernel log cannot be read", { device, error: describeError(error), remedy });
}
