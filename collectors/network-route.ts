import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { askNetlink, netlinkFamily, parseAttributes } from "./netlink.ts";
import { readDeviceNames } from "./rtnetlink.ts";

/** The unicast routes of all tables, rtnetlink(7): off by default, one series per route. */
export const networkRoute = defineCollector({
  name: "network_route",
  description: "Unicast routes and their number per device.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async () => {
      const routes = readRoutes(readDeviceNames());
      const out = createFamilySet();
      for (const labels of routes) out.gauge("node_network_route_info", "network routing table information", 1, labels);
      for (const [device = "", hops] of Map.groupBy(routes, (labels) => labels["device"])) {
        out.gauge("node_network_routes", "network routes by interface", hops.length, { device });
      }
      return out.list();
    },
  }),
});

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTN_UNICAST = 1;
const rtmsgBytes = 12;
const rtnexthopBytes = 8;
const RTA = { destination: 1, device: 4, gateway: 5, priority: 6, preferredSource: 7, multipath: 9 } as const;

type DeviceNames = ReadonlyMap<number, string>;

function readRoutes(names: DeviceNames): Labels[] {
  return askNetlink({ family: netlinkFamily.route, type: RTM_GETROUTE, payload: Buffer.alloc(rtmsgBytes) })
    .filter(({ type, payload }) => type === RTM_NEWROUTE && payload[7] === RTN_UNICAST)
    .flatMap(({ payload }) => parseRoute(payload, names));
}

/** The labels of a route, once per next hop. */
export function parseRoute(payload: Buffer, names: DeviceNames): Labels[] {
  const attributes = parseAttributes(payload, rtmsgBytes);
  const prefixLength = payload[1] ?? 0;
  const destination = attributes.get(RTA.destination);
  const common = {
    src: toAddress(attributes.get(RTA.preferredSource)),
    dest: prefixLength === 0 ? "default" : `${toAddress(destination)}/${prefixLength}`,
    priority: String(attributes.get(RTA.priority)?.readUInt32LE(0) ?? 0),
    proto: protocols.get(payload[5] ?? 0) ?? "unknown",
  };
  const multipath = attributes.get(RTA.multipath);
  if (multipath === undefined || multipath.length === 0) {
    const device = names.get(attributes.get(RTA.device)?.readInt32LE(0) ?? 0) ?? "";
    return [{ ...common, device, gw: toAddress(attributes.get(RTA.gateway)), weight: "" }];
  }
  return parseNextHops(multipath, names).map((hop) => ({ ...common, ...hop }));
}

/** struct rtnexthop: length, flags, weight less one, device; then its own attributes. */
function parseNextHops(bytes: Buffer, names: DeviceNames) {
  const hops = [];
  for (let offset = 0; offset + rtnexthopBytes <= bytes.length;) {
    const length = Math.max(bytes.readUInt16LE(offset), rtnexthopBytes);
    const attributes = parseAttributes(bytes.subarray(offset, offset + length), rtnexthopBytes);
    hops.push({
      device: names.get(bytes.readInt32LE(offset + 4)) ?? "",
      gw: toAddress(attributes.get(RTA.gateway)),
      weight: String((bytes[offset + 3] ?? 0) + 1),
    });
    offset += (length + 3) & ~3;
  }
  return hops;
}

/** An address in its canonical form (RFC 5952 for IPv6). */
export function toAddress(bytes: Buffer | undefined): string {
  if (bytes === undefined || bytes.length === 0) return "";
  if (bytes.length === 4) return [...bytes].join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}

/** RTPROT_*, include/uapi/linux/rtnetlink.h. */
const protocols = new Map<number, string>(
  Object.entries({
    ...{ 0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt" },
    ...{ 11: "zebra", 12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 42: "babel" },
    ...{ 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp" },
  }).map(([number, name]) => [Number(number), name]),
);
