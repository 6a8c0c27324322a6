import type { GpuIdentity, GpuReading, XidEvent } from "./reading.ts";

/**
 * ok: read within the last intervals. lost: the driver no longer reaches it, or asks for a reset. stuck: a call about it
 * does not come back. skipped: not called because of an Xid after which calls tend to hang. failed: read without success.
 * released: let go of by `aami gpu release`.
 */
export const gpuStates = ["ok", "lost", "stuck", "skipped", "failed", "released"] as const;
export type GpuState = (typeof gpuStates)[number];

export interface SeenXid extends XidEvent {
  readonly source: "kernel log" | "driver";
  readonly atMs: number;
}

/** One GPU as the daemon knows it, from its first sight until the daemon ends. */
export interface WatchedGpu {
  readonly identity: GpuIdentity;
  state: GpuState;
  /** Why it is not ok; the call that hangs, the code that came back. */
  reason: string;
  /** The newest sample; undefined as soon as the GPU is not ok. */
  reading: GpuReading | undefined;
  sampledAtMs: number | undefined;
  durationSeconds: number | undefined;
  /** NVLink traffic of the last interval in DCGM's unit; undefined where the GPU does not tell. */
  nvlinkRate: number | undefined;
  nvlinkBefore: Traffic | undefined;
  /** The same by link, where it is read. */
  linkRates: readonly (number | undefined)[];
  linksBefore: readonly (Traffic | undefined)[];
  failures: number;
  /** Not called before this time. */
  retryAtMs: number;
  /** Newest last; what is older than the count window is dropped, the newest of each instance is kept. */
  xids: readonly SeenXid[];
  throttleSamples: readonly { readonly atMs: number; readonly reasons: number }[];
}

interface Traffic {
  readonly kib: number;
  readonly atMs: number;
}

/** The reason before the first sample. */
export const unread = "not read yet";

export function createWatchedGpu(identity: GpuIdentity): WatchedGpu {
  return {
    identity,
    state: "failed",
    reason: unread,
    reading: undefined,
    sampledAtMs: undefined,
    durationSeconds: undefined,
    nvlinkRate: undefined,
    nvlinkBefore: undefined,
    linkRates: [],
    linksBefore: [],
    failures: 0,
    retryAtMs: 0,
    xids: [],
    throttleSamples: [],
  };
}

/** dcgm-exporter's default for its window counts. */
export const countWindowMs = 300_000;

export function applyReading(gpu: WatchedGpu, reading: GpuReading, nowMs: number): void {
  const { nvlinkTransmitKib, nvlinkReceiveKib, throttleReasons } = reading.values;
  gpu.state = "ok";
  gpu.reason = "";
  gpu.failures = 0;
  gpu.retryAtMs = 0;
  gpu.reading = reading;
  gpu.sampledAtMs = nowMs;
  const kib =
    nvlinkTransmitKib === undefined || nvlinkReceiveKib === undefined
      ? undefined
      : nvlinkTransmitKib + nvlinkReceiveKib;
  gpu.nvlinkRate = kib === undefined ? undefined : toNvlinkRate(gpu.nvlinkBefore, { kib, atMs: nowMs });
  gpu.nvlinkBefore = kib === undefined ? undefined : { kib, atMs: nowMs };
  const traffic = reading.linkKib.map((each) => (each === null ? undefined : { kib: each, atMs: nowMs }));
  gpu.linkRates = traffic.map((now, link) => now && toNvlinkRate(gpu.linksBefore[link], now));
  gpu.linksBefore = traffic;
  const recent = gpu.throttleSamples.filter(({ atMs }) => atMs > nowMs - countWindowMs);
  gpu.throttleSamples = throttleReasons === undefined ? recent : [...recent, { atMs: nowMs, reasons: throttleReasons }];
}

/** DCGM's figure: KiB per second through 1000, cut off; 0 for the first sample. */
function toNvlinkRate(before: Traffic | undefined, now: Traffic): number {
  if (before === undefined || now.kib < before.kib || now.atMs <= before.atMs) return 0;
  return Math.trunc((now.kib - before.kib) / ((now.atMs - before.atMs) / 1000) / 1000);
}

export function applyTrouble(gpu: WatchedGpu, state: GpuState, reason: string): void {
  gpu.state = state;
  gpu.reason = reason;
  gpu.reading = undefined;
  gpu.nvlinkRate = undefined;
  gpu.nvlinkBefore = undefined;
  gpu.linkRates = [];
  gpu.linksBefore = [];
}

/** After these the driver's answers tend not to come: off the bus, and two time-outs of the GPU's own processor. */
const hangingXids: ReadonlySet<number> = new Set([79, 119, 120]);

export function makesCallsHang(code: number): boolean {
  return hangingXids.has(code);
}

/** The same Xid comes from the kernel log and from the driver's events, which are asked for once an interval. */
const sameXidMs = 60_000;

/** False when the other source has already told of this one. */
export function addXid(gpu: WatchedGpu, xid: SeenXid): boolean {
  const isKnown = gpu.xids.some(
    (known) => known.source !== xid.source && known.code === xid.code && Math.abs(known.atMs - xid.atMs) < sameXidMs,
  );
  if (isKnown) return false;
  const newest = new Map(gpu.xids.map((known) => [known.gpuInstance, known]));
  const recent = gpu.xids.filter(
    (known) => known.atMs > xid.atMs - countWindowMs || newest.get(known.gpuInstance) === known,
  );
  gpu.xids = [...recent.slice(-xidsMost), xid].sort((a, b) => a.atMs - b.atMs);
  return true;
}

const xidsMost = 1000;
