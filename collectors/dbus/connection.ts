import { createConnection, type Socket } from "node:net";
import { DbusError, DbusReplyError, decodeReply, encodeCall, messageLength, type MethodCall } from "./wire.ts";

export interface DbusConnection {
  /** The values of the reply; rejects with a DbusReplyError, and when the connection or its signal ends. */
  call(call: MethodCall): Promise<readonly unknown[]>;
  property(object: Omit<MethodCall, "interface" | "member" | "arguments">, of: string, name: string): Promise<unknown>;
  close(): void;
}

export interface DbusOptions {
  readonly socketPath: string;
  /** A bus wants to be greeted; systemd's private socket has no bus behind it. */
  readonly isBus: boolean;
  readonly signal: AbortSignal;
}

interface Pending {
  readonly resolve: (body: readonly unknown[]) => void;
  readonly reject: (error: unknown) => void;
}

export async function connectDbus({ socketPath, isBus, signal }: DbusOptions): Promise<DbusConnection> {
  signal.throwIfAborted();
  const socket = createConnection({ path: socketPath });
  const pending = new Map<number, Pending>();
  let serial = 0;
  const fail = (error: unknown): void => {
    socket.destroy();
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", fail);
  socket.on("close", () => fail(new DbusError("the D-Bus connection was closed")));

  const call: DbusConnection["call"] = (request) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new DbusError("the D-Bus connection is closed"));
      serial += 1;
      pending.set(serial, { resolve, reject });
      socket.write(encodeCall(serial, request));
    });
  const close = (): void => {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  };

  try {
    const rest = await authenticate(socket, signal);
    receive(socket, rest, pending, fail);
    if (isBus) await call({ ...bus, member: "Hello" });
  } catch (error) {
    close();
    throw error;
  }
  const property: DbusConnection["property"] = async (object, of, name) => {
    const request = { ...object, interface: "org.freedesktop.DBus.Properties", member: "Get", arguments: [of, name] };
    return (await call(request))[0];
  };
  return { call, property, close };
}

const bus = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

/** EXTERNAL: the other side takes our user from the socket; the one line of its answer ends the text protocol. */
async function authenticate(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString("hex");
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  let answer = Buffer.alloc(0);
  for (;;) {
    const end = answer.indexOf("\r\n");
    if (end >= 0) {
      const line = answer.toString("latin1", 0, end);
      if (!line.startsWith("OK ")) throw new DbusError(`authentication refused: ${line}`);
      socket.write("BEGIN\r\n");
      return answer.subarray(end + 2);
    }
    answer = Buffer.concat([answer, await nextChunk(socket, signal)]);
  }
}

function nextChunk(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => (): void => {
      socket.off("data", onData);
      socket.off("error", onError);
      socket.off("close", onClose);
      action();
    };
    const onData = (chunk: Buffer): void => settle(() => resolve(chunk))();
    const onError = (error: unknown): void => settle(() => reject(error))();
    const onClose = settle(() =>
      reject(signal.aborted ? signal.reason : new DbusError("closed before authentication")),
    );
    socket.on("data", onData);
    socket.on("error", onError);
    socket.on("close", onClose);
  });
}

function receive(socket: Socket, rest: Buffer, pending: Map<number, Pending>, fail: (error: unknown) => void): void {
  let chunks = [rest];
  let held = rest.length;
  let wanted = 1;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    if (held < wanted) return;
    let buffer = Buffer.concat(chunks);
    try {
      for (wanted = messageLength(buffer) ?? 16; buffer.length >= wanted; wanted = messageLength(buffer) ?? 16) {
        settle(pending, buffer.subarray(0, wanted));
        buffer = buffer.subarray(wanted);
      }
    } catch (error) {
      fail(error);
    }
    chunks = [buffer];
    held = buffer.length;
  });
}

function settle(pending: Map<number, Pending>, message: Buffer): void {
  const reply = decodeReply(message);
  const waiting = reply === undefined ? undefined : pending.get(reply.serial);
  if (reply === undefined || waiting === undefined) return;
  pending.delete(reply.serial);
  if (reply.error === undefined) waiting.resolve(reply.body);
  else waiting.reject(new DbusReplyError(`${reply.error}: ${String(reply.body[0] ?? "")}`));
}
