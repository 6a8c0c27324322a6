import { Value } from "@sinclair/typebox/value";
import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { isLoopback, isSane, ntp } from "../../collectors/ntp.ts";
import { parseSntp } from "../../collectors/sntp.ts";

const epochOffset = 2_208_988_800;

function writeTimestamp(packet: Buffer, offset: number, unixSeconds: number): void {
  const seconds = Math.floor(unixSeconds);
  packet.writeUInt32BE((seconds + epochOffset) % 2 ** 32, offset);
  packet.writeUInt32BE(Math.floor((unixSeconds - seconds) * 2 ** 32), offset + 4);
}

interface Answer {
  readonly leap?: number;
  readonly stratum?: number;
  readonly reference: number;
  readonly arrived: number;
  readonly transmitted: number;
}

function encodeAnswer({ leap = 0, stratum = 2, reference, arrived, transmitted }: Answer): Buffer {
  const packet = Buffer.alloc(48);
  packet[0] = (leap << 6) | (4 << 3) | 4;
  packet[1] = stratum;
  packet.writeUInt32BE(0.5 * 65536, 4);
  packet.writeUInt32BE(0.25 * 65536, 8);
  writeTimestamp(packet, 16, reference);
  writeTimestamp(packet, 32, arrived);
  writeTimestamp(packet, 40, transmitted);
  return packet;
}

/** A server on an ephemeral port; `answer` may leave a question unanswered. */
async function serveNtp(answer: (question: Buffer) => Buffer | undefined) {
  const socket = createSocket("udp4");
  socket.on("message", (question, peer) => {
    const packet = answer(question);
    if (packet !== undefined) socket.send(packet, peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, [Symbol.dispose]: () => void socket.close() };
}

async function collectFrom(port: number, signal = AbortSignal.timeout(5000)): Promise<string[]> {
  const collector = ntp.create(Value.Default(ntp.options, { server_port: port }) as never);
  const families = await collector.collect({} as never, signal);
  const text = encodeFamilies(families).map((family) => family.text);
  return text
    .join("")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
}

test("asks as a client and publishes the answer", async () => {
  const questions: Buffer[] = [];
  const now = Date.now() / 1000;
  using server = await serveNtp((question) => {
    questions.push(question);
    const packet = encodeAnswer({ reference: Math.floor(now) - 60, arrived: now, transmitted: now });
    question.copy(packet, 24, 40, 48);
    return packet;
  });
  const series = await collectFrom(server.port);
  expect(questions[0]?.[0]).toBe((4 << 3) | 3);
  expect(series).toContain("node_ntp_stratum 2");
  expect(series).toContain("node_ntp_leap 0");
  expect(series).toContain("node_ntp_root_delay_seconds 0.5");
  expect(series).toContain("node_ntp_root_dispersion_seconds 0.25");
  expect(series.map((line) => line.split(" ")[0])).toEqual([
    "node_ntp_leap",
    "node_ntp_offset_seconds",
    "node_ntp_reference_timestamp_seconds",
    "node_ntp_root_delay_seconds",
    "node_ntp_root_dispersion_seconds",
    "node_ntp_rtt_seconds",
    "node_ntp_sanity",
    "node_ntp_stratum",
  ]);
});

test("an answer to another question is not taken, and none at all fails", async () => {
  using server = await serveNtp(() => encodeAnswer({ reference: 1, arrived: 1, transmitted: 1 }));
  await expect(collectFrom(server.port)).rejects.toThrow("no answer");
});

test("offset, round trip and distances from the four times", () => {
  const packet = encodeAnswer({ reference: 1_800_000_000, arrived: 1_800_000_100.5, transmitted: 1_800_000_100.75 });
  const reply = parseSntp(packet, 1_800_000_100, 1_800_000_101);
  expect(reply.offset).toBeCloseTo(0.125, 6);
  expect(reply.roundTrip).toBeCloseTo(0.75, 6);
  expect(reply.rootDistance).toBeCloseTo((0.75 + 0.5) / 2 + 0.25, 6);
  expect(reply.minimumError).toBe(0);
  expect(reply.referenceTime).toBe(1_800_000_000);
});

test("times after February 2036 are in the next era", () => {
  const packet = encodeAnswer({ reference: 2_200_000_000, arrived: 2_200_000_000, transmitted: 2_200_000_000 });
  expect(parseSntp(packet, 0, 0).transmitTime).toBe(2_200_000_000);
});

const sane = parseSntp(
  encodeAnswer({ reference: 1_800_000_000, arrived: 1_800_000_100, transmitted: 1_800_000_100 }),
  1_800_000_100,
  1_800_000_100,
);
test.each([
  ["as it should be", {}, true],
  ["a kiss of death", { stratum: 0 }, false],
  ["not synchronised", { leap: 3 }, false],
  ["stratum 16", { stratum: 16 }, false],
  ["a stale reference", { referenceTime: 1_799_000_000 }, false],
  ["a reference in the future", { referenceTime: 1_800_000_200 }, false],
  ["too far", { rootDistance: 4 }, false],
  ["too much dispersion", { rootDispersion: 17, rootDistance: 1 }, false],
  ["clocks that differ", { minimumError: 0.002 }, false],
])("sanity: %s", (_, change, expected) => {
  expect(isSane({ ...sane, ...change }, { maxDistance: 3.46608, tolerance: 0.001 })).toBe(expected);
});

test.each([
  ["127.0.0.1", true],
  ["127.8.9.1", true],
  ["::1", true],
  ["10.0.0.1", false],
  ["localhost", false],
  ["127.example.org", false],
])("loopback: %s", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

test("a server elsewhere needs the operator's word", () => {
  const options = { server: "192.0.2.1" };
  expect(() => ntp.create(Value.Default(ntp.options, { ...options }) as never)).toThrow("--collector.ntp.server");
  ntp.create(Value.Default(ntp.options, { ...options, server_is_local: true }) as never);
});
