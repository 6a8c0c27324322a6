import { parseNumber, splitFields } from "./fields.ts";
import type { Host } from "./host.ts";

export interface DeviceCounters {
  readonly device: string;
  /** By name, in the detailed naming; toLegacyNames gives the one that is published by default. */
  readonly counters: ReadonlyMap<string, number>;
}

/** struct rtnl_link_stats and rtnl_link_stats64 in the kernel's order (include/uapi/linux/if_link.h). */
const linkStatistics = [
  ...["receive_packets", "transmit_packets", "receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors"],
  ...["receive_dropped", "transmit_dropped", "multicast", "collisions"],
  ...["receive_length_errors", "receive_over_errors", "receive_crc_errors", "receive_frame_errors"],
  ...["receive_fifo_errors", "receive_missed_errors"],
  ...["transmit_aborted_errors", "transmit_carrier_errors", "transmit_fifo_errors", "transmit_heartbeat_errors"],
  ...["transmit_window_errors", "receive_compressed", "transmit_compressed", "receive_nohandler"],
];
const IFLA_STATS = 7;
const IFLA_STATS64 = 23;

export function toCounters(attributes: Pick<ReadonlyMap<number, Buffer>, "get">): Map<string, number> | undefined {
  const wide = attributes.get(IFLA_STATS64);
  const bytes = wide ?? attributes.get(IFLA_STATS);
  if (bytes === undefined) return undefined;
  const width = wide === undefined ? 4 : 8;
  const counters = new Map<string, number>();
  let offset = 0;
  for (const name of linkStatistics) {
    // receive_nohandler is the youngest field: older kernels send a shorter structure, and node_exporter then says 0.
    const known = offset + width <= bytes.length;
    counters.set(name, known ? readCounter(bytes, offset, width) : 0);
    offset += width;
  }
  return counters;
}

function readCounter(bytes: Buffer, offset: number, width: number): number {
  const low = bytes.readUInt32LE(offset);
  return width === 4 ? low : bytes.readUInt32LE(offset + 4) * 2 ** 32 + low;
}

const procColumns = [
  ...["receive_bytes", "receive_packets", "receive_errors", "receive_dropped", "receive_fifo", "receive_frame"],
  ...["receive_compressed", "receive_multicast", "transmit_bytes", "transmit_packets", "transmit_errors"],
  ...["transmit_dropped", "transmit_fifo", "transmit_colls", "transmit_carrier", "transmit_compressed"],
];

/** /proc/net/dev: two header lines, then `name: 16 numbers`; a long number may touch the colon. */
export function parseNetDev(text: string, host: Pick<Host, "skipped">): DeviceCounters[] {
  const devices: DeviceCounters[] = [];
  for (const line of text.split("\n").slice(2)) {
    const colon = line.lastIndexOf(":");
    if (colon < 0) continue;
    const device = line.slice(0, colon).trim();
    const values = splitFields(line.slice(colon + 1));
    try {
      devices.push({ device, counters: new Map(procColumns.map((name, index) => [name, parseNumber(values[index])])) });
    } catch (error) {
      host.skipped(`${device} in net/dev`, error);
    }
  }
  return devices;
}

// The sums that /proc/net/dev prints (net/core/net-procfs.c): the published name of each counter that goes under another.
const legacyNames: Readonly<Record<string, string>> = {
  receive_errors: "receive_errs",
  receive_dropped: "receive_drop",
  receive_missed_errors: "receive_drop",
  receive_fifo_errors: "receive_fifo",
  receive_frame_errors: "receive_frame",
  receive_length_errors: "receive_frame",
  receive_over_errors: "receive_frame",
  receive_crc_errors: "receive_frame",
  multicast: "receive_multicast",
  transmit_errors: "transmit_errs",
  transmit_dropped: "transmit_drop",
  transmit_fifo_errors: "transmit_fifo",
  collisions: "transmit_colls",
  transmit_carrier_errors: "transmit_carrier",
  transmit_aborted_errors: "transmit_carrier",
  transmit_heartbeat_errors: "transmit_carrier",
  transmit_window_errors: "transmit_carrier",
};

export function toLegacyNames(counters: ReadonlyMap<string, number>): Map<string, number> {
  const legacy = new Map<string, number>();
  for (const [name, value] of counters) {
    const published = legacyNames[name] ?? name;
    legacy.set(published, (legacy.get(published) ?? 0) + value);
  }
  return legacy;
}
