import { genlHeader, genlHeaderBytes, resolveFamily } from "./generic-netlink.ts";
import { askNetlink, encodeAttribute, netlinkFamily, parseAttributes, toText } from "./netlink.ts";

const ETHTOOL_MSG_LINKMODES_GET = 4;
const ETHTOOL_A_LINKMODES = { header: 1, speed: 5, duplex: 6 } as const;
const ETHTOOL_A_HEADER_DEV_NAME = 2;
const NLA_F_NESTED = 0x8000;
const unknownSpeed = 0xffff_ffff;
const duplexNames = new Map([
  [0, "Half"],
  [1, "Full"],
  [0xff, "Unknown"],
]);

export interface LinkMode {
  /** Undefined where the driver does not know it. */
  readonly speedMegabits: number | undefined;
  readonly duplex: string;
}

/** Speed and duplex of every device by name, Documentation/networking/ethtool-netlink.rst; empty before Linux 5.6. */
export function readLinkModes(): Map<string, LinkMode> {
  const family = resolveFamily("ethtool");
  if (family === undefined) return new Map();
  const payload = genlHeader(
    ETHTOOL_MSG_LINKMODES_GET,
    encodeAttribute(NLA_F_NESTED | ETHTOOL_A_LINKMODES.header, Buffer.alloc(0)),
  );
  const modes = askNetlink({ family: netlinkFamily.generic, type: family, payload });
  return new Map(modes.map((message) => parseLinkMode(message.payload)));
}

function parseLinkMode(payload: Buffer): [device: string, mode: LinkMode] {
  const attributes = parseAttributes(payload, genlHeaderBytes);
  const header = parseAttributes(attributes.get(ETHTOOL_A_LINKMODES.header) ?? Buffer.alloc(0));
  const speed = attributes.get(ETHTOOL_A_LINKMODES.speed)?.readUInt32LE(0);
  return [
    toText(header.get(ETHTOOL_A_HEADER_DEV_NAME) ?? Buffer.alloc(0)),
    {
      speedMegabits: speed === unknownSpeed ? undefined : speed,
      duplex: duplexNames.get(attributes.get(ETHTOOL_A_LINKMODES.duplex)?.[0] ?? 0xff) ?? "Unknown",
    },
  ];
}
