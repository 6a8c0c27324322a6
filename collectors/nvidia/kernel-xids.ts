import { uptime } from "node:os";
import type { Logger } from "../../runtime/log.ts";
import { type KernelLog, openKernelLog } from "../kmsg/follower.ts";
import { parseXid } from "../kmsg/xid.ts";
import type { SeenXid } from "./watch-state.ts";

const pollMs = 2000;
const pollsToRetry = 30;
const recordsPerPoll = 2000;
const kernelFacility = 0;

export interface KernelXidsOptions {
  readonly device: string;
  readonly onXid: (xid: SeenXid) => void;
  readonly log: Logger;
  readonly open?: (device: string) => KernelLog;
}

/** Xids from the kernel log, which names the GPU even when the driver no longer answers. Never waits. */
export function followKernelXids({ device, onXid, log, open = openKernelLog }: KernelXidsOptions): { stop(): void } {
  let kernelLog: KernelLog | undefined;
  let failedPolls = 0;
  const close = (): void => {
    kernelLog?.close();
    kernelLog = undefined;
  };
  const poll = (): void => {
    // What cannot be read is tried again every minute; meanwhile the driver's own events and the watchdog remain.
    if (failedPolls > 0 && failedPolls++ % pollsToRetry !== 0) return;
    try {
      kernelLog ??= open(device);
      takeXids(kernelLog, onXid);
      failedPolls = 0;
    } catch (error) {
      if (failedPolls === 0) log.warn("kernel log is not followed for xids", { device, error });
      failedPolls = Math.max(failedPolls, 1);
      close();
    }
  };
  const timer = setInterval(poll, pollMs).unref();
  poll();
  return {
    stop: () => {
      clearInterval(timer);
      close();
    },
  };
}

function takeXids(kernelLog: KernelLog, onXid: (xid: SeenXid) => void): void {
  const { records } = kernelLog.read(recordsPerPoll);
  if (records.length === 0) return;
  const bootMs = Date.now() - uptime() * 1000;
  for (const { facility, text, uptimeSeconds } of records) {
    // Any program may write to the kernel log, but only the kernel as facility 0.
    if (facility !== kernelFacility || !text.includes("Xid")) continue;
    const xid = parseXid(text);
    if (xid === undefined) continue;
    const { pciBusId, code, gpuInstance } = xid;
    onXid({ pciBusId, code, gpuInstance, source: "kernel log", atMs: bootMs + uptimeSeconds * 1000 });
  }
}
