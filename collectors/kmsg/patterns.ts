import type { Severity } from "../events.ts";
import { xidSeverity } from "./xid-severity.ts";
import { patterns } from "./pattern-table.ts";
import { type LinkError, parseXid, xidPattern } from "./xid.ts";

export type EventClass =
  "app" | "cpu" | "disk" | "gpu" | "hardware" | "kernel" | "memory" | "mount" | "nic" | "nvswitch" | "pcie";

/** What a line of the kernel log says has happened. */
export interface KernelEvent {
  /** Stable name of the kind of event, a label value. */
  readonly id: string;
  readonly class: EventClass;
  readonly severity: Severity;
  /** PCI bus ID, disk, interface, server, … as the line names it; empty when it names none. */
  readonly device: string;
  /** Xid or SXid. */
  readonly code?: number;
  /** Of an Xid about an NVLink. */
  readonly link?: LinkError;
}

/** Undefined for a line that is no event. */
export function recognise(text: string): KernelEvent | undefined {
  if (xidPattern.test(text)) return toXidEvent(text);
  for (const { id, class: eventClass, severity, regex } of patterns) {
    const match = regex.exec(text);
    if (match === null) continue;
    const { device = "", code } = match.groups ?? {};
    return {
      id,
      class: eventClass,
      severity: typeof severity === "function" ? severity(match) : severity,
      device,
      ...(code === undefined ? {} : { code: Number(code) }),
    };
  }
  return undefined;
}

function toXidEvent(text: string): KernelEvent | undefined {
  const xid = parseXid(text);
  if (xid === undefined) return undefined;
  const { code, pciBusId: device, message, link } = xid;
  const severity = xidSeverity(code, message);
  return { id: "gpu_xid", class: "gpu", severity, device, code, ...(link && { link }) };
}
