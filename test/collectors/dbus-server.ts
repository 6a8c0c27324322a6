import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeMessage, messageLength } from "../../collectors/dbus/wire.ts";

/** What a call is answered with: values and their signature, the name of an error, or nothing at all. */
export type Answer =
  { readonly signature: string; readonly body: readonly unknown[] } | { readonly error: string } | undefined;

export interface Call {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments: readonly string[];
}

export interface DbusServer extends AsyncDisposable {
  /** The root under which /run/dbus/system_bus_socket is. */
  readonly root: string;
}

/** A bus with one service behind it; `splitAt` makes it send its bytes in pieces of that size. */
export async function serveDbus(answer: (call: Call) => Answer, splitAt = Infinity): Promise<DbusServer> {
  const root = mkdtempSync(join(tmpdir(), "aami-dbus-"));
  mkdirSync(join(root, "run/dbus"), { recursive: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serveConnection(socket, answer, splitAt);
  });
  await new Promise<void>((resolve) => server.listen(join(root, "run/dbus/system_bus_socket"), resolve));
  return {
    root,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(root, { recursive: true });
    },
  };
}

function serveConnection(socket: Socket, answer: (call: Call) => Answer, splitAt: number): void {
  let text = true;
  let buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (let end = buffer.indexOf("\r\n"); text && end >= 0; end = buffer.indexOf("\r\n")) {
      const line = buffer.toString("latin1", 0, end);
      buffer = buffer.subarray(end + 2);
      if (/^\0AUTH EXTERNAL [0-9a-f]+$/.test(line)) socket.write("OK 1234deadbeef\r\n");
      if (line === "BEGIN") text = false;
    }
    if (text) return;
    for (
      let length = messageLength(buffer);
      length !== undefined && length <= buffer.length;
      length = messageLength(buffer)
    ) {
      const { serial, fields, body } = decodeMessage(buffer.subarray(0, length));
      buffer = buffer.subarray(length);
      const member = String(fields.get(3));
      const call = {
        path: String(fields.get(1)),
        interface: String(fields.get(2)),
        member,
        arguments: body.map(String),
      };
      const reply = member === "Hello" ? { signature: "s", body: [":1.1"] } : answer(call);
      if (reply !== undefined) send(socket, encodeAnswer(serial, reply), splitAt);
    }
  });
}

function send(socket: Socket, message: Buffer, splitAt: number): void {
  for (let at = 0; at < message.length; at += splitAt)
    socket.write(message.subarray(at, Math.min(at + splitAt, message.length)));
}

function encodeAnswer(replySerial: number, answer: Exclude<Answer, undefined>): Buffer {
  const body: number[] = [];
  if ("signature" in answer) marshal(body, answer.signature, answer.body);
  const bytes: number[] = [108, "error" in answer ? 3 : 2, 1, 1];
  marshal(bytes, "uu", [body.length, 1]);
  const fields: unknown[] = [[5, ["u", replySerial]]];
  if ("error" in answer) fields.push([4, ["s", answer.error]]);
  else fields.push([8, ["g", answer.signature]]);
  marshal(bytes, "a(yv)", [fields]);
  align(bytes, 8);
  return Buffer.from([...bytes, ...body]);
}

function align(bytes: number[], boundary: number): void {
  while (bytes.length % boundary !== 0) bytes.push(0);
}

/** A variant is written as [signature, value]. */
function marshal(bytes: number[], signature: string, values: readonly unknown[]): void {
  let rest = signature;
  for (const value of values) {
    const type = /^(?:a*(?:\((?:[^()]|\([^()]*\))*\)|.))/.exec(rest)?.[0] ?? "";
    rest = rest.slice(type.length);
    marshalOne(bytes, type, value);
  }
}

function marshalOne(bytes: number[], type: string, value: unknown): void {
  const number = (size: number, write: (buffer: Buffer) => void): void => {
    align(bytes, size);
    const buffer = Buffer.alloc(size);
    write(buffer);
    bytes.push(...buffer);
  };
  if (type === "y") bytes.push(Number(value));
  else if (type === "u" || type === "b") number(4, (buffer) => buffer.writeUInt32LE(Number(value)));
  else if (type === "t") number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value as bigint)));
  else if (type === "s" || type === "o") {
    const text = Buffer.from(String(value));
    marshalOne(bytes, "u", text.length);
    bytes.push(...text, 0);
  } else if (type === "g") bytes.push(String(value).length, ...Buffer.from(String(value)), 0);
  else if (type === "v") {
    const [signature, inner] = value as [string, unknown];
    marshalOne(bytes, "g", signature);
    marshalOne(bytes, signature, inner);
  } else if (type.startsWith("(")) {
    align(bytes, 8);
    marshal(bytes, type.slice(1, -1), value as unknown[]);
  } else if (type.startsWith("a")) {
    marshalOne(bytes, "u", 0);
    const lengthAt = bytes.length - 4;
    if (/^a[(t]/.test(type)) align(bytes, 8);
    const start = bytes.length;
    for (const item of value as unknown[]) marshalOne(bytes, type.slice(1), item);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length - start);
    bytes.splice(lengthAt, 4, ...length);
  } else throw new Error(`cannot marshal ${type}`);
}
