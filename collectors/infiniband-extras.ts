import { realpathSync } from "node:fs";
import type { Labels } from "./collector.ts";
import { counter, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { errnoOf, listIfPresent, readAttribute, readTextIfPresent } from "./read.ts";

/* What node_exporter's families do not say about a port. */

const portInfo = gauge(
  "aami_infiniband_port_info",
  "Link layer, network interface and PCI address of a port, value is always 1.",
);

/** Counters of the driver beside those that have a node_infiniband_* family: every driver has its own. */
export const otherHardwareCounter = counter(
  "aami_infiniband_hw_counter_total",
  "A counter of the port's driver that has no family of its own, by its file name in hw_counters.",
);

export function addPortInfo(host: Host, set: FamilySet, labels: Labels, paths: { device: string; port: string }): void {
  const linkLayer = readAttribute(host, `${paths.port}/link_layer`) ?? "";
  const netdev = readNetdev(paths, labels["port"] ?? "");
  set.add(portInfo, { ...labels, link_layer: linkLayer, netdev, pci_bus_id: readPciBusId(paths.device) }, 1);
}

/** RoCE names the interface of each address; an InfiniBand port has one with IP over InfiniBand, or none. */
function readNetdev(paths: { device: string; port: string }, port: string): string {
  const roce = readOptional(`${paths.port}/gid_attrs/ndevs/0`);
  if (roce !== undefined && roce !== "") return roce;
  const folder = `${paths.device}/device/net`;
  const ofPort = listIfPresent(folder).find(
    (name) => readOptional(`${folder}/${name}/dev_port`) === String(Number(port) - 1),
  );
  return ofPort ?? "";
}

/** An address that is not in use has no interface, and its file answers EINVAL: nothing to report. */
function readOptional(path: string): string | undefined {
  try {
    return readTextIfPresent(path)?.trim();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function readPciBusId(device: string): string {
  try {
    return /[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.exec(realpathSync(`${device}/device`))?.[0] ?? "";
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return ""; // a software device has no hardware beneath it
  }
}
