import { toMacAddress } from "./nl80211.ts";
import { readTextIfPresent } from "./read.ts";
import type { WifiAccessPoint, WifiSource, WifiStation } from "./wifi.ts";

type Json = Readonly<Record<string, unknown>>;

/** The files of node_exporter's own end-to-end test: durations in nanoseconds, addresses in base64, 0 for what is left out. */
export function openWifiFixtures(folder: string): WifiSource {
  const readJson = (path: string): unknown => {
    const text = readTextIfPresent(`${folder}/${path}`);
    return text === undefined ? undefined : JSON.parse(text);
  };
  return {
    interfaces: () =>
      toList(readJson("interfaces.json")).map((entry, index) => ({
        index,
        name: toText(entry["name"]),
        frequencyMegahertz: toNumber(entry["frequency"]),
      })),
    accessPoint: ({ name }) => {
      const entry = readJson(`${name}/bss.json`);
      return entry === undefined ? undefined : toAccessPoint(entry as Json);
    },
    stations: ({ name }) => toList(readJson(`${name}/stationinfo.json`)).map(toStation),
  };
}

function toAccessPoint(entry: Json): WifiAccessPoint {
  return { bssid: toAddress(entry["bssid"]), ssid: toText(entry["ssid"]), status: toNumber(entry["status"]) };
}

function toStation(entry: Json): WifiStation {
  return {
    macAddress: toAddress(entry["hardwareaddr"]),
    connectedSeconds: toNumber(entry["connected"]) / 1e9,
    inactiveSeconds: toNumber(entry["inactive"]) / 1e9,
    receiveBitsPerSecond: toNumber(entry["receivebitrate"]),
    transmitBitsPerSecond: toNumber(entry["transmitbitrate"]),
    receivedBytes: toNumber(entry["receivedbytes"]),
    transmittedBytes: toNumber(entry["transmittedbytes"]),
    receivedPackets: toNumber(entry["receivedpackets"]),
    transmittedPackets: toNumber(entry["transmittedpackets"]),
    signalDbm: toNumber(entry["signal"]),
    transmitRetries: toNumber(entry["transmitretries"]),
    transmitFailed: toNumber(entry["transmitfailed"]),
    beaconLoss: toNumber(entry["beaconloss"]),
  };
}

function toList(value: unknown): Json[] {
  return Array.isArray(value) ? value : [];
}

function toNumber(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function toAddress(value: unknown): string {
  return toMacAddress(Buffer.from(toText(value), "base64"));
}
