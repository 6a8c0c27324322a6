import { askNetlink, encodeAttribute, findAttribute, netlinkFamily, toText } from "./netlink.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 8;
const ifinfomsgBytes = 16;

/** One network interface as rtnetlink describes it (struct ifinfomsg and IFLA_* attributes). */
export interface Link {
  readonly name: string;
  readonly index: number;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  /** By IFLA_* number; looked for when asked, as a link has some fifty and few of them are wanted. */
  readonly attributes: Pick<ReadonlyMap<number, Buffer>, "get">;
}

export function readLinks(): Link[] {
  return askNetlink({ family: netlinkFamily.route, type: RTM_GETLINK, payload: Buffer.alloc(ifinfomsgBytes) })
    .filter(({ type }) => type === RTM_NEWLINK)
    .map(({ payload }) => parseLink(payload));
}

export function parseLink(payload: Buffer): Link {
  const attribute = (type: number): Buffer | undefined => findAttribute(payload, ifinfomsgBytes, type);
  return {
    name: toText(attribute(IFLA_IFNAME) ?? Buffer.alloc(0)),
    type: payload.readUInt16LE(2),
    index: payload.readInt32LE(4),
    flags: payload.readUInt32LE(8),
    attributes: { get: attribute },
  };
}

/** Device names by interface index, without the counters, which are most of the work of a dump. */
export function readDeviceNames(): Map<number, string> {
  const skipStatistics = encodeAttribute(IFLA_EXT_MASK, Buffer.from([RTEXT_FILTER_SKIP_STATS, 0, 0, 0]));
  const payload = Buffer.concat([Buffer.alloc(ifinfomsgBytes), skipStatistics]);
  const links = askNetlink({ family: netlinkFamily.route, type: RTM_GETLINK, payload });
  return new Map(links.map((message) => parseLink(message.payload)).map(({ index, name }) => [index, name]));
}
