import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet } from "./families.ts";
import { splitFields, splitLines } from "./fields.ts";
import { askNetlink, netlinkFamily } from "./netlink.ts";
import { readText } from "./read.ts";
import { readDeviceNames } from "./rtnetlink.ts";

/** The IPv4 neighbour table, counted per device. */
export const arp = defineCollector({
  name: "arp",
  description: "ARP entries per device.",
  enabledByDefault: true,
  options: Type.Object(
    {
      device_include: Type.String({
        default: "",
        flag: "collector.arp.device-include",
        description: "Regexp of the devices to publish; excludes device_exclude.",
      }),
      device_exclude: Type.String({
        default: "",
        flag: "collector.arp.device-exclude",
        description: "Regexp of the devices to leave out.",
      }),
      netlink: Type.Boolean({
        default: true,
        flag: "collector.arp.netlink",
        description: "Ask rtnetlink instead of reading /proc/net/arp.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ device_include: include, device_exclude: exclude, netlink }) => {
    const keep = createDeviceFilter({ flag: "collector.arp.device", include, exclude });
    return {
      collect: async ({ procPath }) => {
        const devices = netlink ? readNeighbours() : parseArp(readText(`${procPath}/net/arp`));
        const out = createFamilySet();
        for (const [device, entries] of Map.groupBy(devices.filter(keep), (device) => device)) {
          out.gauge("node_arp_entries", "ARP entries by device", entries.length, { device });
        }
        return out.list();
      },
    };
  },
});

/** The device of each entry of /proc/net/arp: a header line, then six columns. */
export function parseArp(text: string): string[] {
  return splitLines(text)
    .slice(1)
    .map((line) => splitFields(line)[5])
    .filter((device) => device !== undefined);
}

const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const AF_INET = 2;
const NUD_NOARP = 0x40;
const ndmsgBytes = 12;

// Entries of devices that do not use ARP (loopback, tunnels) are left out, as /proc/net/arp does.
function readNeighbours(): string[] {
  const payload = Buffer.alloc(ndmsgBytes);
  payload[0] = AF_INET;
  const indexes = askNetlink({ family: netlinkFamily.route, type: RTM_GETNEIGH, payload })
    .filter((message) => message.type === RTM_NEWNEIGH && message.payload[0] === AF_INET)
    .filter((message) => (message.payload.readUInt16LE(8) & NUD_NOARP) === 0)
    .map((message) => message.payload.readInt32LE(4));
  if (indexes.length === 0) return [];
  const names = readDeviceNames();
  return indexes.map((index) => names.get(index)).filter((name) => name !== undefined);
}
