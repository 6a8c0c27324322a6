/**
 * The part of the D-Bus wire format that reading properties takes: method calls with text arguments out, any reply in.
 * https://dbus.freedesktop.org/doc/dbus-specification.html
 */
export interface MethodCall {
  /** Left out on a connection without a bus. */
  readonly destination?: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments?: readonly string[];
}

export interface Reply {
  readonly serial: number;
  /** The name of a D-Bus error, undefined for a return. */
  readonly error: string | undefined;
  readonly body: readonly unknown[];
}

/** The connection does not work, or does not speak D-Bus. */
export class DbusError extends Error {
  override readonly name: string = "DbusError";
}

/** The other side answered one call with an error; the connection is fine. */
export class DbusReplyError extends DbusError {
  override readonly name = "DbusReplyError";
}

const messageType = { call: 1, return: 2, error: 3 } as const;
const field = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const;
const fixedHeaderBytes = 16;
const maxMessageBytes = 128 * 1024 * 1024;

export function encodeCall(serial: number, call: MethodCall): Uint8Array {
  const body = new Writer();
  for (const text of call.arguments ?? []) body.text(text);
  const message = new Writer();
  message.bytes(["l".charCodeAt(0), messageType.call, 0, 1]);
  message.uint32(body.length);
  message.uint32(serial);
  const fields = new Writer();
  fields.field(field.path, "o", call.path);
  fields.field(field.interface, "s", call.interface);
  fields.field(field.member, "s", call.member);
  if (call.destination !== undefined) fields.field(field.destination, "s", call.destination);
  if (body.length > 0) fields.field(field.signature, "g", "s".repeat(call.arguments?.length ?? 0));
  message.uint32(fields.length);
  // The fields start at byte 16, so their own padding holds here too.
  message.bytes(fields.content);
  message.align(8);
  message.bytes(body.content);
  return Uint8Array.from(message.content);
}

/** Only what encodeCall needs; calls are short, so a plain array of bytes will do. */
class Writer {
  readonly content: number[] = [];

  get length(): number {
    return this.content.length;
  }

  bytes(bytes: readonly number[]): void {
    this.content.push(...bytes);
  }

  align(boundary: number): void {
    while (this.length % boundary !== 0) this.content.push(0);
  }

  uint32(value: number): void {
    this.align(4);
    this.bytes([value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255]);
  }

  text(text: string): void {
    const encoded = Buffer.from(text, "utf8");
    this.uint32(encoded.length);
    this.bytes([...encoded, 0]);
  }

  field(code: number, type: "o" | "s" | "g", text: string): void {
    this.align(8);
    this.bytes([code, 1, type.charCodeAt(0), 0]);
    if (type === "g") this.bytes([text.length, ...Buffer.from(text, "latin1"), 0]);
    else this.text(text);
  }
}

/** How long the message at the start of `buffer` is; undefined while even that is not known yet. */
export function messageLength(buffer: Buffer): number | undefined {
  if (buffer.length < fixedHeaderBytes) return undefined;
  const reader = new Reader(buffer);
  const length = reader.alignedTo(fixedHeaderBytes + reader.uint32At(12), 8) + reader.uint32At(4);
  if (length > maxMessageBytes) throw new DbusError(`message of ${length} bytes`);
  return length;
}

export interface Message {
  readonly type: number | undefined;
  readonly serial: number;
  /** By field code: 1 path, 2 interface, 3 member, 4 error name, 5 reply serial, … */
  readonly fields: ReadonlyMap<unknown, unknown>;
  readonly body: readonly unknown[];
}

export function decodeMessage(message: Buffer): Message {
  const reader = new Reader(message);
  reader.at = 12;
  const fields = new Map<unknown, unknown>();
  for (const entry of reader.value("a(yv)") as [number, unknown][]) fields.set(entry[0], entry[1]);
  reader.align(8);
  const body = reader.values(String(fields.get(field.signature) ?? ""));
  return { type: message[1], serial: reader.uint32At(8), fields, body };
}

/** Undefined for what is no reply: signals that the bus sends unasked. */
export function decodeReply(message: Buffer): Reply | undefined {
  if (message[1] !== messageType.return && message[1] !== messageType.error) return undefined;
  const { type, fields, body } = decodeMessage(message);
  const error = type === messageType.error ? String(fields.get(field.errorName) ?? "unnamed error") : undefined;
  return { serial: Number(fields.get(field.replySerial)), error, body };
}

const alignments: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1, n: 2, q: 2, b: 4, i: 4, u: 4, h: 4, s: 4, o: 4, a: 4 },
  ...{ x: 8, t: 8, d: 8, "(": 8, "{": 8 },
};

/** Values by signature: numbers (64 bits rounded as float64), booleans, text, arrays; a variant is its value. */
class Reader {
  at = 0;
  readonly #view: DataView;
  readonly #little: boolean;

  constructor(message: Buffer) {
    this.#view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    this.#little = message[0] === "l".charCodeAt(0);
  }

  uint32At(offset: number): number {
    return this.#view.getUint32(offset, this.#little);
  }

  alignedTo(offset: number, boundary: number): number {
    return Math.ceil(offset / boundary) * boundary;
  }

  align(boundary: number): void {
    this.at = this.alignedTo(this.at, boundary);
  }

  values(signature: string): unknown[] {
    return splitSignature(signature).map((type) => this.value(type));
  }

  value(type: string): unknown {
    this.align(alignments[type[0] ?? ""] ?? 1);
    switch (type[0]) {
      case "s":
      case "o":
        return this.#text(this.#number(4, "getUint32"));
      case "g":
        return this.#text(this.#number(1, "getUint8"));
      case "v":
        return this.value(String(this.value("g")));
      case "a":
        return this.#array(type.slice(1));
      case "(":
      case "{":
        return this.values(type.slice(1, -1));
      default:
        return this.#basic(type);
    }
  }

  #basic(type: string): number | boolean {
    switch (type) {
      case "y":
        return this.#number(1, "getUint8");
      case "b":
        return this.#number(4, "getUint32") !== 0;
      case "n":
        return this.#number(2, "getInt16");
      case "q":
        return this.#number(2, "getUint16");
      case "i":
        return this.#number(4, "getInt32");
      case "u":
      case "h":
        return this.#number(4, "getUint32");
      case "x":
        return this.#number(8, "getBigInt64");
      case "t":
        return this.#number(8, "getBigUint64");
      case "d":
        return this.#number(8, "getFloat64");
      default:
        throw new DbusError(`unknown type ${JSON.stringify(type)}`);
    }
  }

  #array(element: string): unknown[] {
    const bytes = this.#number(4, "getUint32");
    this.align(alignments[element[0] ?? ""] ?? 1);
    const end = this.at + bytes;
    const items: unknown[] = [];
    while (this.at < end) items.push(this.value(element));
    return items;
  }

  #number(
    bytes: number,
    read:
      "getUint8" | "getInt16" | "getUint16" | "getInt32" | "getUint32" | "getBigInt64" | "getBigUint64" | "getFloat64",
  ): number {
    const value = this.#view[read](this.at, this.#little);
    this.at += bytes;
    return Number(value);
  }

  #text(bytes: number): string {
    const start = this.#view.byteOffset + this.at;
    const text = Buffer.from(this.#view.buffer, start, bytes).toString("utf8");
    this.at += bytes + 1;
    return text;
  }
}

/** "sa(yv)u" → "s", "a(yv)", "u" */
function splitSignature(signature: string): string[] {
  const types: string[] = [];
  let start = 0;
  let depth = 0;
  for (const [index, char] of [...signature].entries()) {
    if (char === "(" || char === "{") depth += 1;
    if (char === ")" || char === "}") depth -= 1;
    if (depth > 0 || char === "a") continue;
    types.push(signature.slice(start, index + 1));
    start = index + 1;
  }
  return types;
}
