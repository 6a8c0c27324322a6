import { genlHeader, genlHeaderBytes, resolveFamily } from "./generic-netlink.ts";
import { askNetlink, encodeAttribute, netlinkFamily, parseAttributes, toText } from "./netlink.ts";
import type { WifiAccessPoint, WifiInterface, WifiSource, WifiStation } from "./wifi.ts";

/** Commands and attributes of linux/nl80211.h. */
const command = { getInterface: 5, getStation: 17, getScan: 32 } as const;
const attribute = { index: 3, name: 4, mac: 6, stationInfo: 21, frequency: 38, bss: 47 } as const;
const bssAttribute = { bssid: 1, informationElements: 6, status: 9 } as const;
const station = {
  inactiveMilliseconds: 1,
  receivedBytes32: 2,
  transmittedBytes32: 3,
  signal: 7,
  transmitRate: 8,
  receivedPackets: 9,
  transmittedPackets: 10,
  transmitRetries: 11,
  transmitFailed: 12,
  receiveRate: 14,
  connectedSeconds: 16,
  beaconLoss: 18,
  receivedBytes64: 23,
  transmittedBytes64: 24,
} as const;
const rate = { bitrate16: 1, bitrate32: 5 } as const;
const ssidElement = 0;

type Attributes = ReadonlyMap<number, Buffer>;

/** Asks the kernel; undefined on a host without wireless networking. */
export function openNl80211(): WifiSource | undefined {
  const family = resolveFamily("nl80211");
  if (family === undefined) return undefined;
  const dump = (what: number, index?: number): Attributes[] => {
    const words = Buffer.alloc(4);
    words.writeUInt32LE(index ?? 0);
    const attributes = index === undefined ? Buffer.alloc(0) : encodeAttribute(attribute.index, words);
    const payload = genlHeader(what, attributes);
    const messages = askNetlink({ family: netlinkFamily.generic, type: family, payload });
    return messages.map((message) => parseAttributes(message.payload, genlHeaderBytes));
  };
  return {
    interfaces: () => dump(command.getInterface).map(parseInterface),
    accessPoint: ({ index }) =>
      dump(command.getScan, index)
        .map(parseAccessPoint)
        .find((found) => found !== undefined),
    stations: ({ index }) => dump(command.getStation, index).map(parseStation),
  };
}

export function parseInterface(attributes: Attributes): WifiInterface {
  return {
    index: attributes.get(attribute.index)?.readUInt32LE(0) ?? 0,
    name: toText(attributes.get(attribute.name) ?? Buffer.alloc(0)),
    frequencyMegahertz: attributes.get(attribute.frequency)?.readUInt32LE(0) ?? 0,
  };
}

/** Of all that a scan has seen only the one that the interface belongs to has a status. */
export function parseAccessPoint(attributes: Attributes): WifiAccessPoint | undefined {
  const bss = parseAttributes(attributes.get(attribute.bss) ?? Buffer.alloc(0));
  const status = bss.get(bssAttribute.status)?.readUInt32LE(0);
  if (status === undefined) return undefined;
  return {
    bssid: toMacAddress(bss.get(bssAttribute.bssid)),
    ssid: findElement(bss.get(bssAttribute.informationElements) ?? Buffer.alloc(0), ssidElement),
    status,
  };
}

export function parseStation(attributes: Attributes): WifiStation {
  const info = parseAttributes(attributes.get(attribute.stationInfo) ?? Buffer.alloc(0));
  const uint32 = (type: number): number | undefined => info.get(type)?.readUInt32LE(0);
  const uint64 = (type: number): number | undefined => {
    const value = info.get(type)?.readBigUInt64LE(0);
    return value === undefined ? undefined : Number(value);
  };
  const inactive = uint32(station.inactiveMilliseconds);
  return {
    macAddress: toMacAddress(attributes.get(attribute.mac)),
    connectedSeconds: uint32(station.connectedSeconds),
    inactiveSeconds: inactive === undefined ? undefined : inactive / 1000,
    receiveBitsPerSecond: parseRate(info.get(station.receiveRate)),
    transmitBitsPerSecond: parseRate(info.get(station.transmitRate)),
    receivedBytes: uint64(station.receivedBytes64) ?? uint32(station.receivedBytes32),
    transmittedBytes: uint64(station.transmittedBytes64) ?? uint32(station.transmittedBytes32),
    receivedPackets: uint32(station.receivedPackets),
    transmittedPackets: uint32(station.transmittedPackets),
    signalDbm: info.get(station.signal)?.readInt8(0),
    transmitRetries: uint32(station.transmitRetries),
    transmitFailed: uint32(station.transmitFailed),
    beaconLoss: uint32(station.beaconLoss),
  };
}

/** In units of 100 kbit/s; the 16-bit attribute is there only while the rate fits into it. */
function parseRate(nested: Buffer | undefined): number | undefined {
  if (nested === undefined) return undefined;
  const attributes = parseAttributes(nested);
  const units = attributes.get(rate.bitrate32)?.readUInt32LE(0) ?? attributes.get(rate.bitrate16)?.readUInt16LE(0);
  return units === undefined ? undefined : units * 100_000;
}

/** Information elements of IEEE 802.11: a byte of type, a byte of length, the content. */
function findElement(elements: Buffer, wanted: number): string {
  for (let at = 0; at + 2 <= elements.length; at += 2 + elements.readUInt8(at + 1)) {
    if (elements[at] === wanted) return elements.toString("utf8", at + 2, at + 2 + elements.readUInt8(at + 1));
  }
  return "";
}

export function toMacAddress(bytes: Buffer | undefined): string {
  return [...(bytes ?? [])].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
