import type { DeviceCaller } from "./caller.ts";
import { NvmlCode } from "./errors.ts";
import type { ValueName, Values } from "./reading.ts";

/** nvmlFieldValue_t. */
const layout = { bytes: 40, scope: 4, timestamp: 8, latency: 16, type: 24, code: 28, value: 32 };
const allLinks = 0xffffffff;

interface Field {
  readonly id: number;
  readonly name: ValueName;
  readonly scope?: number;
  /** Read as unsigned int whatever the driver says: one release called the memory temperature a double. */
  readonly unsigned?: true;
}

const fields: readonly Field[] = [
  { id: 74, name: "throttlePowerNs" },
  { id: 75, name: "throttleThermalNs" },
  { id: 76, name: "throttleSyncBoostNs" },
  { id: 77, name: "throttleBoardLimitNs" },
  { id: 78, name: "throttleLowUtilizationNs" },
  { id: 79, name: "throttleReliabilityNs" },
  { id: 82, name: "memoryTemperatureCelsius", unsigned: true },
  { id: 91, name: "nvlinkCount" },
  { id: 138, name: "nvlinkTransmitKib", scope: allLinks },
  { id: 139, name: "nvlinkReceiveKib", scope: allLinks },
  { id: 38, name: "nvlinkCrcFlitErrors" },
  { id: 45, name: "nvlinkCrcDataErrors" },
  { id: 52, name: "nvlinkReplayErrors" },
  { id: 59, name: "nvlinkRecoveryErrors" },
  { id: 230, name: "recoveryAction" },
];

/** One call for all of them; each has a return code of its own. */
export function readFieldValues(device: DeviceCaller): Values {
  const values: Values = {};
  for (const [index, value] of askFields(device, fields).entries()) {
    const name = fields[index]?.name;
    if (name !== undefined && value !== undefined) values[name] = value;
  }
  return values;
}

function askFields(device: DeviceCaller, asked: readonly Omit<Field, "name">[]): (number | undefined)[] {
  const buffer = Buffer.alloc(asked.length * layout.bytes);
  asked.forEach(({ id, scope = 0 }, index) => {
    buffer.writeUInt32LE(id, index * layout.bytes);
    buffer.writeUInt32LE(scope, index * layout.bytes + layout.scope);
  });
  if (asked.length === 0 || !device.try("nvmlDeviceGetFieldValues", asked.length, buffer)) return [];
  return asked.map(({ unsigned }, index) =>
    decodeEntry(buffer.subarray(index * layout.bytes, (index + 1) * layout.bytes), unsigned === true),
  );
}

function decodeEntry(entry: Buffer, unsigned: boolean): number | undefined {
  if (entry.readInt32LE(layout.code) !== NvmlCode.success) return undefined;
  const untouched = [layout.timestamp, layout.latency, layout.value].every((at) => entry.readBigUInt64LE(at) === 0n);
  // Drivers leave an entry as it was when the feature is off, and call that success.
  if (untouched) return undefined;
  return unsigned ? entry.readUInt32LE(layout.value) : decodeValue(entry);
}

/** nvmlValue_t by nvmlValueType_t. */
function decodeValue(entry: Buffer): number | undefined {
  const at = layout.value;
  switch (entry.readUInt32LE(layout.type)) {
    case 0:
      return entry.readDoubleLE(at);
    case 1:
      return entry.readUInt32LE(at);
    case 2:
    case 3:
      return Number(entry.readBigUInt64LE(at));
    case 4:
      return Number(entry.readBigInt64LE(at));
    case 5:
      return entry.readInt32LE(at);
    case 6:
      return entry.readUInt16LE(at);
    default:
      return undefined;
  }
}

const linksMost = 64;
const throughput = { transmit: 138, receive: 139 };

/** Traffic of both directions by link; null for a link that does not tell. */
export function readLinkTraffic(device: DeviceCaller, { nvlinkCount = 0 }: Values): (number | null)[] {
  const count = Math.min(nvlinkCount, linksMost);
  const asked = Array.from({ length: count }, (_, scope) => [
    { id: throughput.transmit, scope },
    { id: throughput.receive, scope },
  ]).flat();
  const kib = askFields(device, asked);
  return Array.from({ length: count }, (_, link) => {
    const [transmit, receive] = kib.slice(2 * link);
    return transmit === undefined || receive === undefined ? null : transmit + receive;
  });
}

/** NVLinks by number, up or not; as many as the device says it has. */
export function readLinks(device: DeviceCaller, { nvlinkCount = 0 }: Values): boolean[] {
  const links: boolean[] = [];
  for (let link = 0; link < Math.min(nvlinkCount, linksMost); link++) {
    const [isActive] = device.numbers("nvmlDeviceGetNvLinkState", [link], 1) ?? [];
    if (isActive !== undefined) links.push(isActive === 1);
  }
  return links;
}
