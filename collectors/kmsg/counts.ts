import type { Labels, MetricFamily } from "../collector.ts";
import type { Severity } from "../events.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "../families.ts";
import type { KernelEvent } from "./patterns.ts";

export interface CountedEvent {
  readonly event: KernelEvent;
  readonly count: number;
  readonly atSeconds: number;
}

/** What has been seen since boot (or since the daemon started, where the log no longer reaches back to it). */
export interface KernelCounts {
  add(event: KernelEvent, atSeconds: number): void;
  /** An Xid that was counted without what the line in the kernel log says of its NVLink. */
  refine(event: KernelEvent, atSeconds: number): void;
  lost(records: number): void;
  read(records: number): void;
  lostTotal(): number;
  /** Everything counted so far, and back: for the next daemon of this boot. */
  counted(): CountedEvent[];
  restore(counted: readonly CountedEvent[]): void;
  /** `gpus`: NVIDIA GPUs of this node, whose Xids are counted from 0. */
  families(gpus?: readonly string[]): MetricFamily[];
}

const head = {
  events: counter("aami_kernel_log_events_total", "Events in the kernel log by kind and device since boot."),
  lastEvent: gauge(
    "aami_kernel_log_last_event_timestamp_seconds",
    "Unix time of the newest event of this kind and device in the kernel log.",
  ),
  records: counter("aami_kernel_log_records_total", "Kernel log records read."),
  lost: counter(
    "aami_kernel_log_lost_records_total",
    "Kernel log records that were overwritten before they were read.",
  ),
  dropped: counter(
    "aami_kernel_log_uncounted_events_total",
    "Events left out of aami_kernel_log_events_total because too many devices had been seen.",
  ),
  xid: counter(
    "aami_gpu_xid_errors_total",
    "Xid errors of an NVIDIA GPU since boot, from the kernel log and the driver's events, each counted once.",
  ),
  lastXid: gauge("aami_gpu_xid_last_timestamp_seconds", "Unix time of the newest Xid error of this GPU and code."),
  linkXid: counter(
    "aami_gpu_nvlink_xid_errors_total",
    "Xid errors 144 to 150 by the NVLink unit (error_info), its error_status and the driver's word, since boot.",
  ),
  lastLinkXid: gauge(
    "aami_gpu_nvlink_xid_last_timestamp_seconds",
    "Unix time of the newest of these Xid errors of an NVLink.",
  ),
  lastSxid: gauge(
    "aami_nvswitch_sxid_last_timestamp_seconds",
    "Unix time of the newest SXid error of this NVSwitch and code.",
  ),
  sxid: counter("aami_nvswitch_sxid_errors_total", "SXid errors of an NVSwitch in the kernel log since boot."),
};

/** Lines may name what they like; past this many series what matters least is only counted as left out. */
const maxSeries = 500;
const weights: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2, fatal: 3 };

export function createKernelCounts(): KernelCounts {
  const seen = new Map<string, CountedEvent>();
  const totals = { records: 0, lost: 0, dropped: 0 };
  const add: KernelCounts["add"] = (event, atSeconds) => {
    const key = keyOf(event);
    const known = seen.get(key);
    seen.set(key, { event, count: (known?.count ?? 0) + 1, atSeconds });
    if (seen.size > maxSeries) totals.dropped += dropLeast(seen);
  };
  return {
    add,
    refine: (event, atSeconds) => {
      const { link, ...plain } = event;
      const known = seen.get(keyOf(plain));
      if (link === undefined || known === undefined) return;
      if (known.count === 1) seen.delete(keyOf(plain));
      else seen.set(keyOf(plain), { ...known, count: known.count - 1 });
      add(event, atSeconds);
    },
    lost: (records) => void (totals.lost += records),
    read: (records) => void (totals.records += records),
    lostTotal: () => totals.lost,
    counted: () => [...seen.values()],
    restore: (counted) => {
      for (const entry of counted) seen.set(keyOf(entry.event), entry);
    },
    families: (gpus = []) => {
      const set = createFamilySet();
      set.add(head.records, {}, totals.records);
      set.add(head.lost, {}, totals.lost);
      set.add(head.dropped, {}, totals.dropped);
      addXids(set, [...seen.values()], gpus);
      for (const { event, count, atSeconds } of seen.values()) {
        const { device, code } = event;
        if (event.id === "gpu_xid") continue;
        if (event.id === "nvswitch_sxid") {
          const labels: Labels = { pci_bus_id: device, sxid: String(code), severity: event.severity };
          set.add(head.sxid, labels, count);
          set.add(head.lastSxid, labels, atSeconds);
        } else {
          const labels: Labels = { event: event.id, class: event.class, severity: event.severity, device };
          set.add(head.events, labels, count);
          set.add(head.lastEvent, labels, atSeconds);
        }
      }
      return set.list();
    },
  };
}

/** Of the least severe the one that was last seen longest ago. Says how many events it stood for. */
function dropLeast(seen: Map<string, CountedEvent>): number {
  let least: [string, CountedEvent] | undefined;
  for (const entry of seen) if (least === undefined || matters(entry[1], least[1]) < 0) least = entry;
  if (least === undefined) return 0;
  seen.delete(least[0]);
  return least[1].count;
}

function matters(a: CountedEvent, b: CountedEvent): number {
  return weights[a.event.severity] - weights[b.event.severity] || a.atSeconds - b.atSeconds;
}

/** Codes that alerts are written for: a counter that begins with its first event hides that event from increase(). */
const countedFromTheStart = [13, 31, 43, 45, 48, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 120, 140, 149, 154] as const;

/** The errors of an NVLink are counted by what they are, and with all others by code. */
function addXids(set: FamilySet, entries: readonly CountedEvent[], gpus: readonly string[]): void {
  const byCode = new Map<string, { readonly labels: Labels; count: number; atSeconds: number }>();
  for (const { event, count, atSeconds } of entries) {
    if (event.id !== "gpu_xid") continue;
    const labels: Labels = { pci_bus_id: event.device, xid: String(event.code) };
    const key = `${event.device} ${event.code}`;
    const sum = byCode.get(key) ?? { labels, count: 0, atSeconds: 0 };
    byCode.set(key, { labels, count: sum.count + count, atSeconds: Math.max(sum.atSeconds, atSeconds) });
    if (event.link === undefined) continue;
    const { info, status, severity } = event.link;
    const detailed = { ...labels, error_info: info, error_status: status, severity };
    set.add(head.linkXid, detailed, count);
    set.add(head.lastLinkXid, detailed, atSeconds);
  }
  for (const gpu of gpus) {
    for (const code of countedFromTheStart) {
      if (!byCode.has(`${gpu} ${code}`)) set.add(head.xid, { pci_bus_id: gpu, xid: String(code) }, 0);
    }
  }
  for (const { labels, count, atSeconds } of byCode.values()) {
    set.add(head.xid, labels, count);
    set.add(head.lastXid, labels, atSeconds);
  }
}

/** One key for one series: an Xid has no severity label of its own. */
function keyOf({ id, device, code, severity, link }: KernelEvent): string {
  const kind = id === "gpu_xid" ? Object.values(link ?? {}).join(" ") : severity;
  return `${id}\n${device}\n${code ?? ""}\n${kind}`;
}
