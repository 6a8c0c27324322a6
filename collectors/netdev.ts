import { type Static, Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { createDeviceFilter, deprecatedPattern, pickRenamed } from "./device-filter.ts";
import { counter, createFamilySet, type FamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { addAddressInfo } from "./netdev-addresses.ts";
import { type DeviceCounters, parseNetDev, toCounters, toLegacyNames } from "./netdev-counters.ts";
import { readAttribute, readText } from "./read.ts";
import { remember } from "./remember.ts";
import { readLinks } from "./rtnetlink.ts";

const Options = Type.Object(
  {
    device_include: Type.String({
      default: "",
      flag: "collector.netdev.device-include",
      description: "Regexp of the network devices to publish; excludes device_exclude.",
    }),
    device_exclude: Type.String({
      default: "",
      flag: "collector.netdev.device-exclude",
      description: "Regexp of the network devices to leave out; excludes device_include.",
    }),
    device_whitelist: deprecatedPattern("collector.netdev.device-whitelist", "device_include"),
    device_blacklist: deprecatedPattern("collector.netdev.device-blacklist", "device_exclude"),
    address_info: Type.Boolean({
      default: false,
      flag: "collector.netdev.address-info",
      description: "Publish the addresses of every device.",
    }),
    enable_detailed_metrics: Type.Boolean({
      default: false,
      flag: "collector.netdev.enable-detailed-metrics",
      description: "Publish the kernel's detailed error counters under their own, incompatible names.",
    }),
    netlink: Type.Boolean({
      default: true,
      flag: "collector.netdev.netlink",
      description: "Ask rtnetlink for the counters instead of /proc/net/dev.",
    }),
    label_ifalias: Type.Boolean({
      default: false,
      flag: "collector.netdev.label-ifalias",
      description: "Add the interface alias as the label ifalias.",
    }),
  },
  { additionalProperties: false },
);

/** Traffic and error counters of network devices: struct rtnl_link_stats64, or the columns of /proc/net/dev. */
export const netdev = defineCollector({
  name: "netdev",
  description: "Traffic and error counters of network devices.",
  enabledByDefault: true,
  options: Options,
  create: (options) => {
    const include = pickRenamed(options.device_include, options.device_whitelist, {
      flag: "collector.netdev.device-include",
      older: "collector.netdev.device-whitelist",
    });
    const exclude = pickRenamed(options.device_exclude, options.device_blacklist, {
      flag: "collector.netdev.device-exclude",
      older: "collector.netdev.device-blacklist",
    });
    const keep = createDeviceFilter({
      flag: "collector.netdev.device",
      include,
      exclude,
      exclusive: { defaultExclude: "" },
    });
    return { collect: async (host) => collect(host, options, keep) };
  },
});

function collect(host: Host, options: Static<typeof Options>, keep: (device: string) => boolean): MetricFamily[] {
  const out = createFamilySet();
  for (const { device, counters } of readCounters(host, options.netlink)) {
    if (!keep(device)) continue;
    const labels = options.label_ifalias ? { device, ...readAlias(host, device) } : { device };
    addCounters(out, labels, options.enable_detailed_metrics ? counters : toLegacyNames(counters));
  }
  if (options.address_info) addAddressInfo(out, keep);
  return out.list();
}

function readCounters(host: Host, netlink: boolean): DeviceCounters[] {
  if (!netlink) return parseNetDev(readText(`${host.procPath}/net/dev`), host);
  return readLinks().flatMap((link) => {
    const counters = toCounters(link.attributes);
    return counters === undefined ? [] : [{ device: link.name, counters }];
  });
}

function readAlias(host: Host, device: string): Labels {
  return { ifalias: readAttribute(host, `${host.sysPath}/class/net/${device}/ifalias`) ?? "" };
}

function addCounters(out: FamilySet, labels: Labels, counters: DeviceCounters["counters"]): void {
  for (const [name, value] of counters) out.add(toFamily(name), labels, value);
}

const toFamily = remember((name) => counter(`node_network_${name}_total`, `Network device statistic ${name}.`));
