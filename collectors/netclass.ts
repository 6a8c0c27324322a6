import { readdirSync } from "node:fs";
import { type Static, Type } from "@sinclair/typebox";
import { defineCollector, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { readNetNumber, readNetProperty } from "./net-property.ts";
import { addNetlinkClasses } from "./netclass-netlink.ts";
import { compilePattern } from "./pattern.ts";
import { isErrno } from "./read.ts";
import { remember } from "./remember.ts";

const Options = Type.Object(
  {
    ignored_devices: Type.String({
      default: "^$",
      flag: "collector.netclass.ignored-devices",
      description: "Regexp of the network devices to leave out.",
    }),
    ignore_invalid_speed: Type.Boolean({
      default: false,
      flag: "collector.netclass.ignore-invalid-speed",
      description: "Leave out the speed of devices that report -1.",
    }),
    netlink: Type.Boolean({
      default: false,
      flag: "collector.netclass.netlink",
      description: "Ask rtnetlink and ethtool instead of reading /sys/class/net.",
    }),
    rtnl_with_stats: Type.Boolean({
      default: false,
      flag: "collector.netclass_rtnl.with-stats",
      description: "With netlink: publish the traffic counters as well, in place of the netdev collector.",
    }),
  },
  { additionalProperties: false },
);
export type NetclassOptions = Static<typeof Options>;

/** Properties of network devices: Documentation/ABI/testing/sysfs-class-net. */
export const netclass = defineCollector({
  name: "netclass",
  description: "Link state, speed, MTU and other properties of network devices from /sys/class/net.",
  enabledByDefault: true,
  options: Options,
  create: (options) => {
    const ignored = compilePattern(options.ignored_devices, "--collector.netclass.ignored-devices");
    const keep = (device: string): boolean => !ignored.test(device);
    return {
      collect: async (host) => {
        const out = createFamilySet();
        if (options.netlink) {
          addNetlinkClasses(out, { host, keep, withStatistics: options.rtnl_with_stats });
        } else {
          for (const device of listDevices(host.sysPath).filter(keep)) {
            addDevice(out, device, { host, ignoreInvalidSpeed: options.ignore_invalid_speed });
          }
        }
        return out.list();
      },
    };
  },
});

function listDevices(sysPath: string): string[] {
  try {
    return readdirSync(`${sysPath}/class/net`, { withFileTypes: true })
      .filter((entry) => !entry.isFile()) // bonding_masters
      .map((entry) => entry.name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES")) throw new NoDataError("no /sys/class/net");
    throw error;
  }
}

const property = (declare: typeof gauge, name: string, file: string): readonly [FamilyHead, string] => [
  declare(`node_network_${name}`, `Network device property: ${name}`),
  file,
];

/** Each with its file in /sys/class/net/DEVICE. */
const properties = [
  property(gauge, "address_assign_type", "addr_assign_type"),
  property(gauge, "carrier", "carrier"),
  property(counter, "carrier_changes_total", "carrier_changes"),
  property(counter, "carrier_up_changes_total", "carrier_up_count"),
  property(counter, "carrier_down_changes_total", "carrier_down_count"),
  property(gauge, "device_id", "dev_id"),
  property(gauge, "dormant", "dormant"),
  property(gauge, "flags", "flags"),
  property(gauge, "iface_id", "ifindex"),
  property(gauge, "iface_link", "iflink"),
  property(gauge, "iface_link_mode", "link_mode"),
  property(gauge, "mtu_bytes", "mtu"),
  property(gauge, "name_assign_type", "name_assign_type"),
  property(gauge, "net_dev_group", "netdev_group"),
  property(gauge, "transmit_queue_length", "tx_queue_len"),
  property(gauge, "protocol_type", "type"),
];

const upHelp = "Value is 1 if operstate is 'up', 0 otherwise.";

interface Reading {
  readonly host: Host;
  readonly ignoreInvalidSpeed: boolean;
}

const labelsOf = remember((device) => ({ device }));

const IFF_UP = 1;
/** Refused with EINVAL while the device is not up (net/core/net-sysfs.c), at a price, and that of the global lock for some. */
const refusedWhileDown = new Set(["carrier", "dormant", "duplex", "speed"]);

function addDevice(out: FamilySet, device: string, { host, ignoreInvalidSpeed }: Reading): void {
  const operstate = readNetProperty(host, device, "operstate") ?? "";
  const flags = readNetNumber(host, device, "flags");
  // Gone since it was listed, as containers' devices do at any time: not one that is down.
  if (operstate === "" && flags === undefined) return;
  const isUp = flags === undefined || (flags & IFF_UP) !== 0;
  const isRefused = (file: string): boolean => !isUp && refusedWhileDown.has(file);
  const text = (file: string): string => (isRefused(file) ? "" : (readNetProperty(host, device, file) ?? ""));
  const number = (file: string): number | undefined =>
    isRefused(file) ? undefined : readNetNumber(host, device, file);
  const labels = labelsOf(device);
  out.gauge("node_network_up", upHelp, operstate === "up" ? 1 : 0, labels);
  out.gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.", 1, {
    device,
    address: text("address"),
    broadcast: text("broadcast"),
    duplex: text("duplex"),
    operstate,
    adminstate: flags === undefined ? "unknown" : isUp ? "up" : "down",
    ifalias: text("ifalias"),
  });
  for (const [family, file] of properties) out.add(family, labels, file === "flags" ? flags : number(file));
  // Megabits; -1 where the link is down, which node_exporter publishes as -125000.
  const speed = number("speed");
  if (speed === undefined || (ignoreInvalidSpeed && speed < 0)) return;
  out.gauge("node_network_speed_bytes", "Network device property: speed_bytes", (speed * 1e6) / 8, labels);
}
