import { dlopen, ptr } from "bun:ffi";
import { lastErrno } from "./libc.ts";

/** Families of AF_NETLINK sockets, include/uapi/linux/netlink.h. */
export const netlinkFamily = { route: 0, inetDiag: 4, generic: 16 } as const;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUF = 8;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const MSG_TRUNC = 0x20;
const EINTR = 4;
const headerBytes = 16;
/** The two high bits of an attribute's type only say that it is nested or in network byte order. */
const typeMask = 0x3fff;
const timeoutSeconds = 5n;

/** A failed netlink call; `errno` is the kernel's number, 0 where it gave none. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  readonly errno: number;

  constructor(message: string, errno: number) {
    super(errno === 0 ? message : `${message}: errno ${errno}`);
    this.errno = errno;
  }
}

export interface NetlinkRequest {
  readonly family: number;
  readonly type: number;
  /** The fixed header of the request and its attributes, without nlmsghdr. */
  readonly payload: Buffer;
  /** False asks for one answer and an acknowledgement instead of a dump of all objects. */
  readonly dump?: boolean;
}

export interface NetlinkMessage {
  readonly type: number;
  /** Valid until the caller drops it: a copy of what follows nlmsghdr. */
  readonly payload: Buffer;
}

/** Asks the kernel and waits for the whole answer; a dump that changed under way is asked for again. */
export function askNetlink(request: NetlinkRequest): NetlinkMessage[] {
  const socket = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, request.family);
  if (socket < 0) throw new NetlinkError("cannot open a netlink socket", lastErrno());
  try {
    setSocketOptions(socket);
    for (let attempt = 1; ; attempt++) {
      const { messages, interrupted } = ask(socket, request, attempt);
      // After three tries a busy table is taken as it came: consistent per object, perhaps not as a whole.
      if (!interrupted || attempt >= 3) return messages;
    }
  } finally {
    libc().close(socket);
  }
}

let opened: ReturnType<typeof open> | undefined;

function open() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}

function libc() {
  opened ??= open();
  return opened;
}

function setSocketOptions(socket: number): void {
  const timeout = new BigInt64Array([timeoutSeconds, 0n]);
  const bufferBytes = new Int32Array([1 << 20]);
  if (libc().setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, ptr(timeout), 16) !== 0) {
    throw new NetlinkError("cannot set the timeout of a netlink socket", lastErrno());
  }
  // Best effort: the kernel caps it at net.core.rmem_max, and the default holds a dump as well.
  libc().setsockopt(socket, SOL_SOCKET, SO_RCVBUF, ptr(bufferBytes), 4);
}

interface Answer {
  readonly messages: NetlinkMessage[];
  readonly interrupted: boolean;
}

function ask(socket: number, { type, payload, dump = true }: NetlinkRequest, sequence: number): Answer {
  const message = Buffer.alloc(headerBytes + payload.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK), 6);
  message.writeUInt32LE(sequence, 8);
  payload.copy(message, headerBytes);
  if (libc().send(socket, ptr(message), message.length, 0) !== message.length) {
    throw new NetlinkError("cannot send a netlink request", lastErrno());
  }
  const messages: NetlinkMessage[] = [];
  let interrupted = false;
  for (;;) {
    const part = parseNetlink(receive(socket), sequence);
    messages.push(...part.messages);
    interrupted ||= part.interrupted;
    if (part.done) return { messages, interrupted };
  }
}

const receiveBuffer = { bytes: Buffer.alloc(0) };

function receive(socket: number): Buffer {
  // The kernel fills at most 32 KiB a datagram and grows that only for readers with larger buffers.
  if (receiveBuffer.bytes.length === 0) receiveBuffer.bytes = Buffer.alloc(64 * 1024);
  const { bytes } = receiveBuffer;
  for (;;) {
    const length = libc().recv(socket, ptr(bytes), bytes.length, MSG_TRUNC);
    if (length > bytes.length) throw new NetlinkError(`netlink answer of ${length} bytes was cut`, 0);
    if (length >= 0) return bytes.subarray(0, length);
    const errno = lastErrno();
    if (errno !== EINTR) throw new NetlinkError("cannot receive a netlink answer", errno);
  }
}

/** The messages of one datagram; `done` with the last one of a dump or the acknowledgement. Throws the kernel's error. */
export function parseNetlink(bytes: Buffer, sequence: number): Answer & { readonly done: boolean } {
  const messages: NetlinkMessage[] = [];
  let interrupted = false;
  for (let offset = 0; offset + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(offset);
    if (length < headerBytes || offset + length > bytes.length) throw new NetlinkError("malformed netlink answer", 0);
    const type = bytes.readUInt16LE(offset + 4);
    if (bytes.readUInt32LE(offset + 8) === sequence) {
      interrupted ||= (bytes.readUInt16LE(offset + 6) & NLM_F_DUMP_INTR) !== 0;
      const payload = Buffer.from(bytes.subarray(offset + headerBytes, offset + length));
      const errno = type === NLMSG_ERROR || type === NLMSG_DONE ? -payload.readInt32LE(0) : 0;
      if (errno > 0) throw new NetlinkError("the kernel refused a netlink request", errno);
      if (type === NLMSG_ERROR || type === NLMSG_DONE) return { messages, interrupted, done: true };
      messages.push({ type, payload });
    }
    offset += align(length);
  }
  return { messages, interrupted, done: false };
}

/** The attributes (struct nlattr) from `offset` on, by type; of a repeated one the last. */
export function parseAttributes(bytes: Buffer, offset = 0): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  eachAttribute(bytes, offset, (type, value) => attributes.set(type, value));
  return attributes;
}

/** The last attribute of this type, without looking at the others' values. */
export function findAttribute(bytes: Buffer, offset: number, type: number): Buffer | undefined {
  let found: Buffer | undefined;
  while (offset + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(offset);
    if (length < 4 || offset + length > bytes.length) break;
    if ((bytes.readUInt16LE(offset + 2) & typeMask) === type) found = bytes.subarray(offset + 4, offset + length);
    offset += align(length);
  }
  return found;
}

export function eachAttribute(bytes: Buffer, offset: number, visit: (type: number, value: Buffer) => void): void {
  while (offset + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(offset);
    if (length < 4 || offset + length > bytes.length) return;
    visit(bytes.readUInt16LE(offset + 2) & typeMask, bytes.subarray(offset + 4, offset + length));
    offset += align(length);
  }
}

/** One attribute, padded. */
export function encodeAttribute(type: number, value: Buffer): Buffer {
  const attribute = Buffer.alloc(align(4 + value.length));
  attribute.writeUInt16LE(4 + value.length, 0);
  attribute.writeUInt16LE(type, 2);
  value.copy(attribute, 4);
  return attribute;
}

/** A NUL-terminated string attribute. */
export function toText(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end < 0 ? value.length : end);
}

function align(length: number): number {
  return (length + 3) & ~3;
}
