import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { parseDecimal, readTextIfPresent } from "./read.ts";

const numbers: Readonly<Record<string, { readonly family: FamilyHead; readonly unit: number }>> = {
  ns: {
    family: counter("node_drbd_network_sent_bytes_total", "Total number of bytes sent via the network."),
    unit: 1024,
  },
  // KiB like the others, but node_exporter has always published it unscaled.
  nr: {
    family: counter("node_drbd_network_received_bytes_total", "Total number of bytes received via the network."),
    unit: 1,
  },
  dw: {
    family: counter("node_drbd_disk_written_bytes_total", "Net data written on local hard disk; in bytes."),
    unit: 1024,
  },
  dr: {
    family: counter("node_drbd_disk_read_bytes_total", "Net data read from local hard disk; in bytes."),
    unit: 1024,
  },
  al: {
    family: counter(
      "node_drbd_activitylog_writes_total",
      "Number of updates of the activity log area of the meta data.",
    ),
    unit: 1,
  },
  bm: {
    family: counter("node_drbd_bitmap_writes_total", "Number of updates of the bitmap area of the meta data."),
    unit: 1,
  },
  lo: { family: gauge("node_drbd_local_pending", "Number of open requests to the local I/O sub-system."), unit: 1 },
  pe: {
    family: gauge(
      "node_drbd_remote_pending",
      "Number of requests sent to the peer, but that have not yet been answered by the latter.",
    ),
    unit: 1,
  },
  ua: {
    family: gauge(
      "node_drbd_remote_unacknowledged",
      "Number of requests received by the peer via the network connection, but that have not yet been answered.",
    ),
    unit: 1,
  },
  ap: {
    family: gauge(
      "node_drbd_application_pending",
      "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.",
    ),
    unit: 1,
  },
  ep: { family: gauge("node_drbd_epochs", "Number of Epochs currently on the fly."), unit: 1 },
  oos: {
    family: gauge("node_drbd_out_of_sync_bytes", "Amount of data known to be out of sync; in bytes."),
    unit: 1024,
  },
};

/** "ro:Primary/Secondary": this node, then the peer. */
const pairs: Readonly<Record<string, { readonly family: FamilyHead; readonly good: string }>> = {
  ro: {
    family: gauge("node_drbd_node_role_is_primary", "Whether the role of the node is in the primary state."),
    good: "Primary",
  },
  ds: {
    family: gauge("node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date."),
    good: "UpToDate",
  },
};
const connected = gauge("node_drbd_connected", "Whether DRBD is connected to the peer.");

/** /proc/drbd of DRBD 8; version 9 keeps only its version there. */
export const drbd = defineCollector({
  name: "drbd",
  description: "DRBD 8 devices from /proc/drbd.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const text = readTextIfPresent(`${host.procPath}/drbd`);
      if (text === undefined) throw new NoDataError("the DRBD module is not loaded");
      const families = createFamilySet();
      let device: string | undefined;
      for (const line of text.split("\n")) {
        // " 0: cs:Connected …", or "10: …"; what belongs to it is indented further.
        const number = /^ ?(\d+):/.exec(line)?.[1];
        if (!line.startsWith("   ")) device = number === undefined ? undefined : `drbd${number}`;
        if (device !== undefined) addLine(families, host, { device, line });
      }
      return families.list();
    },
  }),
});

function addLine(families: FamilySet, host: Host, { device, line }: { device: string; line: string }): void {
  for (const word of line.split(/\s+/)) {
    const [key = "", value, extra] = word.split(":");
    if (value === undefined || extra !== undefined) continue;
    addPair(families, device, key, value, (error) => host.skipped(`drbd ${device} ${key}`, error));
  }
}

function addPair(families: FamilySet, device: string, key: string, text: string, reject: (error: Error) => void): void {
  const number = numbers[key];
  if (number !== undefined) {
    const value = parseDecimal(text);
    if (value === undefined) reject(new Error(`not a number: ${text}`));
    families.add(number.family, { device }, value === undefined ? undefined : value * number.unit);
  }
  const pair = pairs[key];
  if (pair !== undefined) {
    const [local, remote] = text.split("/");
    families.add(pair.family, { device, node: "local" }, Number(local === pair.good));
    families.add(pair.family, { device, node: "remote" }, Number(remote === pair.good));
  }
  if (key === "cs") families.add(connected, { device }, Number(text === "Connected"));
}
