import { askNetlink, encodeAttribute, NetlinkError, netlinkFamily, parseAttributes } from "./netlink.ts";

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const ENOENT = 2;

/** Of struct genlmsghdr, before the attributes of a message. */
export const genlHeaderBytes = 4;

/** The number under which the kernel knows a generic netlink family; undefined when it has none of that name. */
export function resolveFamily(name: string): number | undefined {
  const attribute = encodeAttribute(CTRL_ATTR_FAMILY_NAME, Buffer.from(`${name}\0`));
  const payload = genlHeader(CTRL_CMD_GETFAMILY, attribute);
  try {
    const [answer] = askNetlink({ family: netlinkFamily.generic, type: GENL_ID_CTRL, payload, dump: false });
    return parseAttributes(answer?.payload ?? Buffer.alloc(0), genlHeaderBytes)
      .get(CTRL_ATTR_FAMILY_ID)
      ?.readUInt16LE(0);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
    throw error;
  }
}

export function genlHeader(command: number, attributes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([command, 1, 0, 0]), attributes]);
}
