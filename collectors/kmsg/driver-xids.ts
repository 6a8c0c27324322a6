import type { EventLog } from "../events.ts";
import type { KernelEvent } from "./patterns.ts";
import { xidSeverity } from "./xid-severity.ts";

/** The driver's events are asked for once an interval, so one Xid may come this much later from there. */
const sameXidSeconds = 60;

type Source = "kernel log" | "driver";
type Told = Pick<KernelEvent, "device" | "code">;

/** Pairs what the kernel log and the driver tell of the same Xid. */
export interface XidSources {
  /** False for one that the other source has told of already. */
  isNew(source: Source, xid: Told, atSeconds: number): boolean;
}

export function createXidSources(): XidSources {
  const unpaired = new Map<string, { readonly source: Source; readonly atSeconds: number }[]>();
  return {
    isNew: (source, { device, code }, atSeconds) => {
      const key = `${device} ${code}`;
      const recent = (unpaired.get(key) ?? []).filter((told) => Math.abs(told.atSeconds - atSeconds) < sameXidSeconds);
      const other = recent.find((told) => told.source !== source);
      const left = recent.filter((told) => told !== other);
      unpaired.set(key, other === undefined ? [...left.slice(-unpairedMost), { source, atSeconds }] : left);
      return other === undefined;
    },
  };
}

const unpairedMost = 100;

export interface DriverXid {
  readonly event: KernelEvent;
  readonly atMs: number;
}

/** Xids of the driver's events, which the GPU collector puts into the event log. */
export function listDriverXids(events: Pick<EventLog, "since">, afterMs: number): DriverXid[] {
  return events.since(afterMs + 1).flatMap(({ source, kind, device, code, atMs, message }) => {
    if (source !== "nvidia" || kind !== "gpu_xid" || code === undefined) return [];
    return [{ event: { id: "gpu_xid", class: "gpu", severity: xidSeverity(code, message), device, code }, atMs }];
  });
}
