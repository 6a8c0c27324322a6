import { readLinkModes } from "./ethtool-netlink.ts";
import type { FamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { readNetNumber } from "./net-property.ts";
import { toCounters } from "./netdev-counters.ts";
import { eachAttribute, toText } from "./netlink.ts";
import { type Link, readLinks } from "./rtnetlink.ts";

const IFLA = {
  ...{ address: 1, broadcast: 2, mtu: 4, link: 5, txQueueLength: 13, operstate: 16, linkMode: 17, alias: 20 },
  ...{ group: 27, carrier: 33, carrierChanges: 35, carrierUp: 47, carrierDown: 48, properties: 52, altName: 53 },
} as const;
const operstates = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];

interface Reading {
  readonly host: Host;
  readonly keep: (device: string) => boolean;
  readonly withStatistics: boolean;
}

/** The netclass series out of two dumps (rtnetlink, ethtool) and three files per device that need no rtnl lock. */
export function addNetlinkClasses(out: FamilySet, { host, keep, withStatistics }: Reading): void {
  const modes = readLinkModes();
  for (const link of readLinks()) {
    if (!keep(link.name)) continue;
    const mode = modes.get(link.name);
    addIdentity(out, link, mode?.duplex ?? "");
    addProperties(out, link, host);
    const add = (name: string, value: number): void => addProperty(out.gauge, name, link.name, value);
    if (mode?.speedMegabits !== undefined) add("speed_bytes", (mode.speedMegabits * 1e6) / 8);
    if (!withStatistics) continue;
    // Gauges, although they count: the contract of this flag.
    for (const [name, value] of toCounters(link.attributes) ?? []) add(`${name}_total`, value);
  }
}

function addIdentity(out: FamilySet, { name: device, attributes }: Link, duplex: string): void {
  const operstate = operstates[attributes.get(IFLA.operstate)?.[0] ?? 0] ?? "unknown";
  const upHelp = "Value is 1 if operstate is 'up', 0 otherwise.";
  out.gauge("node_network_up", upHelp, operstate === "up" ? 1 : 0, { device });
  out.gauge("node_network_info", "Non-numeric data of <iface>, value is always 1.", 1, {
    device,
    address: toHardwareAddress(attributes.get(IFLA.address)),
    broadcast: toHardwareAddress(attributes.get(IFLA.broadcast)),
    duplex,
    operstate,
    ifalias: toText(attributes.get(IFLA.alias) ?? Buffer.alloc(0)),
  });
  eachAttribute(attributes.get(IFLA.properties) ?? Buffer.alloc(0), 0, (type, value) => {
    if (type !== IFLA.altName) return;
    const help = "Non-numeric data of <iface> altname, value is always 1.";
    out.gauge("node_network_altnames_info", help, 1, { altname: toText(value), device });
  });
}

function addProperties(out: FamilySet, { name: device, index, type, flags, attributes }: Link, host: Host): void {
  const sysfs = (file: string): number | undefined => readNetNumber(host, device, file);
  const word = (attribute: number): number => attributes.get(attribute)?.readUInt32LE(0) ?? 0;
  const gauge = (name: string, value: number | undefined): void => addProperty(out.gauge, name, device, value);
  const counter = (name: string, value: number): void => addProperty(out.counter, name, device, value);
  gauge("address_assign_type", sysfs("addr_assign_type"));
  gauge("carrier", attributes.get(IFLA.carrier)?.[0]);
  counter("carrier_changes_total", word(IFLA.carrierChanges));
  counter("carrier_up_changes_total", word(IFLA.carrierUp));
  counter("carrier_down_changes_total", word(IFLA.carrierDown));
  gauge("device_id", sysfs("dev_id"));
  gauge("flags", flags);
  gauge("iface_id", index);
  gauge("iface_link_mode", attributes.get(IFLA.linkMode)?.[0]);
  gauge("dormant", attributes.get(IFLA.linkMode)?.[0]);
  // The kernel leaves the attribute out where a device is its own lower device.
  gauge("iface_link", word(IFLA.link) || index);
  gauge("mtu_bytes", word(IFLA.mtu));
  gauge("name_assign_type", sysfs("name_assign_type"));
  gauge("net_dev_group", word(IFLA.group));
  gauge("transmit_queue_length", word(IFLA.txQueueLength));
  gauge("protocol_type", type);
}

function addProperty(add: FamilySet["gauge"], name: string, device: string, value: number | undefined): void {
  add(`node_network_${name}`, `Network device property: ${name}`, value, { device });
}

function toHardwareAddress(bytes: Buffer | undefined): string {
  return [...(bytes ?? [])].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
