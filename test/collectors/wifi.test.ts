import { Value } from "@sinclair/typebox/value";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeAttribute, parseAttributes } from "../../collectors/netlink.ts";
import { parseAccessPoint, parseInterface, parseStation } from "../../collectors/nl80211.ts";
import { resolveFamily } from "../../collectors/generic-netlink.ts";
import { wifi } from "../../collectors/wifi.ts";
import { collectFrom } from "./fixture-host.ts";

function number(type: number, value: number | bigint, bytes: 1 | 2 | 4 | 8): Buffer {
  const content = Buffer.alloc(8);
  content.writeBigInt64LE(BigInt(value));
  return encodeAttribute(type, content.subarray(0, bytes));
}
const attributes = (...parts: readonly Buffer[]) => parseAttributes(Buffer.concat(parts));
const nested = (type: number, ...parts: readonly Buffer[]): Buffer => encodeAttribute(type, Buffer.concat(parts));
const address = Buffer.from("001122334455", "hex");

test("an interface by nl80211; one that is not tuned has frequency 0", () => {
  const found = attributes(number(3, 7, 4), encodeAttribute(4, Buffer.from("wlan0\0")), number(38, 2412, 4));
  expect(parseInterface(found)).toEqual({ index: 7, name: "wlan0", frequencyMegahertz: 2412 });
  expect(parseInterface(attributes(number(3, 8, 4)))).toEqual({ index: 8, name: "", frequencyMegahertz: 0 });
});

test("of the access points in a scan the one with a status", () => {
  const elements = encodeAttribute(6, Buffer.from([1, 2, 0x82, 0x84, 0, 4, ...Buffer.from("home")]));
  const joined = attributes(nested(47, encodeAttribute(1, address), elements, number(9, 1, 4)));
  expect(parseAccessPoint(joined)).toEqual({ bssid: "00:11:22:33:44:55", ssid: "home", status: 1 });
  expect(parseAccessPoint(attributes(nested(47, encodeAttribute(1, address), elements)))).toBeUndefined();
  expect(parseAccessPoint(attributes())).toBeUndefined();
});

test("a station: wide counters and rates before narrow ones, what is not there undefined", () => {
  const info = [
    ...[number(1, 400, 4), number(2, 5, 4), number(23, 5_000_000_000, 8), number(3, 6, 4), number(16, 30, 4)],
    ...[number(7, -52, 1), nested(8, number(1, 1640, 2)), nested(14, number(1, 9, 2), number(5, 70_000, 4))],
  ];
  const station = parseStation(attributes(encodeAttribute(6, address), nested(21, ...info)));
  expect(station).toMatchObject({
    macAddress: "00:11:22:33:44:55",
    connectedSeconds: 30,
    inactiveSeconds: 0.4,
    receivedBytes: 5_000_000_000,
    transmittedBytes: 6,
    signalDbm: -52,
    transmitBitsPerSecond: 164_000_000,
    receiveBitsPerSecond: 7_000_000_000,
  });
  expect(station.beaconLoss).toBeUndefined();
});

test("interfaces, access point and stations; one bad file costs one interface", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-wifi-"));
  try {
    const put = (path: string, content: unknown) => Bun.write(join(folder, path), JSON.stringify(content));
    await put("interfaces.json", [
      { name: "wlan0", frequency: 5180 },
      { name: "wlan1", frequency: 2412 },
      { type: 10 },
    ]);
    await put("wlan0/bss.json", { ssid: "home", bssid: address.toString("base64"), status: 2 });
    await put("wlan0/stationinfo.json", [{ hardwareaddr: address.toString("base64"), connected: 30e9, signal: -52 }]);
    await Bun.write(join(folder, "wlan1/bss.json"), "{");
    const { series, skipped } = await collectFrom(wifi, {}, { fixtures: folder });
    expect(series).toContain('node_wifi_interface_frequency_hertz{device="wlan0"} 5.18e+09');
    expect(series).toContain(
      'node_wifi_station_info{bssid="00:11:22:33:44:55",device="wlan0",mode="ad-hoc",ssid="home"} 1',
    );
    expect(series).toContain(
      'node_wifi_station_connected_seconds_total{device="wlan0",mac_address="00:11:22:33:44:55"} 30',
    );
    expect(series.filter((line) => line.includes("station_"))).toHaveLength(13);
    expect(skipped).toEqual(["wifi interface wlan1"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a kernel without nl80211 is absent; one with it answers", async () => {
  const expected = resolveFamily("nl80211") === undefined ? "absent" : "ok";
  expect(Value.Default(wifi.options, {})).toEqual({ fixtures: "" });
  expect((await collectFrom(wifi, {})).state).toBe(expected);
});
