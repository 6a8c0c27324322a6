import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { readWallClock } from "./libc.ts";

export interface SntpQuery {
  readonly server: string;
  readonly port: number;
  readonly version: number;
  readonly ttl: number;
  readonly timeoutSeconds: number;
}

/** An answer of RFC 5905, all times in seconds; those since the epoch are Unix time. */
export interface SntpReply {
  readonly leap: number;
  readonly stratum: number;
  readonly referenceTime: number;
  readonly transmitTime: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly roundTrip: number;
  readonly offset: number;
  /** Half of the way to the reference clock and back, and what its clocks may be off. */
  readonly rootDistance: number;
  /** By how much at least the two clocks differ: one of them saw an answer before its question. */
  readonly minimumError: number;
}

const packetBytes = 48;
/** From 1900 to 1970. */
const epochOffset = 2_208_988_800;
const clientMode = 3;

export async function querySntp(query: SntpQuery, signal: AbortSignal): Promise<SntpReply> {
  const socket = createSocket(isIPv6(query.server) ? "udp6" : "udp4");
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(query.timeoutSeconds * 1000)]);
    return await exchange(socket, query, deadline);
  } finally {
    socket.close();
  }
}

function exchange(socket: Socket, { server, port, version, ttl }: SntpQuery, signal: AbortSignal): Promise<SntpReply> {
  const cookie = crypto.getRandomValues(Buffer.alloc(8));
  return new Promise((resolve, reject) => {
    let sent = 0;
    signal.addEventListener("abort", () => reject(new Error("no answer from the NTP server")), { once: true });
    socket.on("error", reject);
    socket.on("message", (answer: Buffer) => {
      const received = readWallClock();
      // The server gives back what we said our time was, so a random number there tells its answer from a forged one.
      if (answer.length < packetBytes || !answer.subarray(24, 32).equals(cookie)) return;
      resolve(parseSntp(answer, sent, received));
    });
    socket.connect(port, server, () => {
      socket.setTTL(ttl);
      const packet = Buffer.alloc(packetBytes);
      packet[0] = (version << 3) | clientMode;
      packet.set(cookie, 40);
      sent = readWallClock();
      socket.send(packet);
    });
  });
}

/** `sent` and `received` are our clock's when the question went out and the answer came. */
export function parseSntp(packet: Buffer, sent: number, received: number): SntpReply {
  const [first = 0, stratum = 0] = packet;
  const rootDelay = packet.readUInt32BE(4) / 65536;
  const rootDispersion = packet.readUInt32BE(8) / 65536;
  const arrived = readTimestamp(packet, 32);
  const transmitTime = readTimestamp(packet, 40);
  const roundTrip = Math.max(0, received - sent - (transmitTime - arrived));
  return {
    leap: first >> 6,
    stratum,
    referenceTime: readTimestamp(packet, 16),
    transmitTime,
    rootDelay,
    rootDispersion,
    roundTrip,
    offset: (arrived - sent + (transmitTime - received)) / 2,
    rootDistance: (roundTrip + rootDelay) / 2 + rootDispersion,
    minimumError: Math.max(0, sent - arrived, transmitTime - received),
  };
}

/** 32 bits of seconds since 1900 and as many of a fraction; values below 1968 belong to the era from 2036 on. */
function readTimestamp(packet: Buffer, offset: number): number {
  const seconds = packet.readUInt32BE(offset);
  const era = seconds >= 0x8000_0000 ? 0 : 2 ** 32;
  if (seconds === 0 && packet.readUInt32BE(offset + 4) === 0) return 0;
  return seconds + era - epochOffset + packet.readUInt32BE(offset + 4) / 2 ** 32;
}
