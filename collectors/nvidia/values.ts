import type { DeviceCaller } from "./caller.ts";
import type { LimitName, ValueName, Values } from "./reading.ts";
import type { NvmlFunction } from "./signatures.ts";

interface NumberCall<Name> {
  readonly call: NvmlFunction;
  readonly args?: readonly number[];
  /** One name per unsigned int that the call writes; undefined for one that is of no interest. */
  readonly out: readonly (Name | undefined)[];
  /** A single unsigned long long instead. */
  readonly wide?: true;
}

const every: readonly NumberCall<ValueName>[] = [
  { call: "nvmlDeviceGetClockInfo", args: [1], out: ["smClockMhz"] },
  { call: "nvmlDeviceGetClockInfo", args: [2], out: ["memoryClockMhz"] },
  { call: "nvmlDeviceGetTemperature", args: [0], out: ["temperatureCelsius"] },
  { call: "nvmlDeviceGetPowerUsage", out: ["powerMilliwatts"] },
  { call: "nvmlDeviceGetTotalEnergyConsumption", out: ["energyMillijoules"], wide: true },
  { call: "nvmlDeviceGetPowerManagementLimit", out: ["powerLimitMilliwatts"] },
  { call: "nvmlDeviceGetEnforcedPowerLimit", out: ["enforcedPowerLimitMilliwatts"] },
  { call: "nvmlDeviceGetPcieReplayCounter", out: ["pcieReplays"] },
  { call: "nvmlDeviceGetCurrPcieLinkGeneration", out: ["pcieGeneration"] },
  { call: "nvmlDeviceGetCurrPcieLinkWidth", out: ["pcieWidth"] },
  { call: "nvmlDeviceGetEncoderUtilization", out: ["encoderPercent", undefined] },
  { call: "nvmlDeviceGetDecoderUtilization", out: ["decoderPercent", undefined] },
  { call: "nvmlDeviceGetPersistenceMode", out: ["persistenceMode"] },
  { call: "nvmlDeviceGetPerformanceState", out: ["performanceState"] },
  { call: "nvmlDeviceGetEccMode", out: ["eccMode", undefined] },
  { call: "nvmlDeviceGetMigMode", out: ["migMode", undefined] },
  { call: "nvmlDeviceGetTotalEccErrors", args: [0, 0], out: ["eccCorrectedVolatile"], wide: true },
  { call: "nvmlDeviceGetTotalEccErrors", args: [1, 0], out: ["eccUncorrectedVolatile"], wide: true },
  { call: "nvmlDeviceGetTotalEccErrors", args: [0, 1], out: ["eccCorrectedAggregate"], wide: true },
  { call: "nvmlDeviceGetTotalEccErrors", args: [1, 1], out: ["eccUncorrectedAggregate"], wide: true },
  {
    call: "nvmlDeviceGetRemappedRows",
    out: ["remappedCorrectable", "remappedUncorrectable", "remapPending", "remapFailed"],
  },
  { call: "nvmlDeviceGetRetiredPagesPendingStatus", out: ["retiredPending"] },
];

const once: readonly NumberCall<LimitName>[] = [
  { call: "nvmlDeviceGetPowerManagementDefaultLimit", out: ["defaultPowerLimitMilliwatts"] },
  {
    call: "nvmlDeviceGetPowerManagementLimitConstraints",
    out: ["minPowerLimitMilliwatts", "maxPowerLimitMilliwatts"],
  },
  { call: "nvmlDeviceGetMaxPcieLinkGeneration", out: ["maxPcieGeneration"] },
  { call: "nvmlDeviceGetMaxPcieLinkWidth", out: ["maxPcieWidth"] },
  { call: "nvmlDeviceGetTemperatureThreshold", args: [0], out: ["shutdownCelsius"] },
  { call: "nvmlDeviceGetTemperatureThreshold", args: [1], out: ["slowdownCelsius"] },
  { call: "nvmlDeviceGetTemperatureThreshold", args: [2], out: ["memoryMaxCelsius"] },
  { call: "nvmlDeviceGetTemperatureThreshold", args: [3], out: ["gpuMaxCelsius"] },
];

export function readLimits(device: DeviceCaller): Values {
  return callAll(device, once);
}

/** Everything but field values, NVLink, MIG, GPM and processes. */
export function readValues(device: DeviceCaller): Values {
  const values = callAll(device, every);
  return {
    ...(values.temperatureCelsius === undefined ? readTemperatureV(device) : {}),
    ...values,
    ...readThrottleReasons(device),
    ...readUtilization(device),
    ...readRemapBanks(device),
    ...readRetiredPages(device),
    ...readFabric(device),
    ...readVgpuLicense(device),
  };
}

function callAll(device: DeviceCaller, calls: readonly NumberCall<ValueName>[]): Values {
  const values: Values = {};
  for (const { call, args = [], out, wide } of calls) {
    if (wide) {
      const value = device.wide(call, args);
      if (value !== undefined && out[0] !== undefined) values[out[0]] = value;
      continue;
    }
    const numbers = device.numbers(call, args, out.length);
    numbers?.forEach((value, index) => {
      const name = out[index];
      if (name !== undefined) values[name] = value;
    });
  }
  return values;
}

/** nvmlTemperature_v1_t, for libraries that have dropped nvmlDeviceGetTemperature. */
function readTemperatureV(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(12);
  buffer.writeUInt32LE(0x0100000c, 0);
  return device.try("nvmlDeviceGetTemperatureV", buffer) ? { temperatureCelsius: buffer.readInt32LE(8) } : {};
}

/** Renamed with driver 535; the bits are the same. */
function readThrottleReasons(device: DeviceCaller): Values {
  const reasons =
    device.wide("nvmlDeviceGetCurrentClocksEventReasons", []) ??
    device.wide("nvmlDeviceGetCurrentClocksThrottleReasons", []);
  return reasons === undefined ? {} : { throttleReasons: reasons };
}

function readUtilization(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(8);
  if (!device.try("nvmlDeviceGetUtilizationRates", buffer)) return {};
  return { gpuPercent: buffer.readUInt32LE(0), memoryPercent: buffer.readUInt32LE(4) };
}

/** nvmlRowRemapperHistogramValues_t: memory banks by how many spare rows are left. */
function readRemapBanks(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(20);
  if (!device.try("nvmlDeviceGetRowRemapperHistogram", buffer)) return {};
  const [banksMax = 0, banksHigh = 0, banksPartial = 0, banksLow = 0, banksNone = 0] = new Uint32Array(
    buffer.buffer,
    buffer.byteOffset,
    5,
  );
  return { banksMax, banksHigh, banksPartial, banksLow, banksNone };
}

const singleBit = 0;
const doubleBit = 1;

function readRetiredPages(device: DeviceCaller): Values {
  const values: Values = {};
  const single = countRetired(device, singleBit);
  const double = countRetired(device, doubleBit);
  if (single !== undefined) values.retiredSingleBit = single;
  if (double !== undefined) values.retiredDoubleBit = double;
  return values;
}

const retiredPagesMost = 1024;
const retiredAddresses = new BigUint64Array(retiredPagesMost);

/** Room for the addresses is given, or a count above zero would come back as an error. */
function countRetired(device: DeviceCaller, cause: number): number | undefined {
  const count = new Uint32Array([retiredPagesMost]);
  return device.try("nvmlDeviceGetRetiredPages", cause, count, retiredAddresses) ? count[0] : undefined;
}

/** nvmlGpuFabricInfo_v2_t; NVSwitch machines only. */
function readFabric(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(36);
  buffer.writeUInt32LE(0x02000024, 0);
  if (!device.try("nvmlDeviceGetGpuFabricInfoV", buffer)) return {};
  const fabricState = buffer.readUInt8(28);
  return { fabricState, fabricStatus: buffer.readInt32LE(20), fabricHealthMask: buffer.readUInt32LE(32) };
}

const licensableFeatures = { bytes: 860, first: 8, each: 284, most: 3, vgpuCode: 1 };

/** nvmlGridLicensableFeatures_t; 0 where nothing is licensed, as on bare metal. */
function readVgpuLicense(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(licensableFeatures.bytes);
  if (!device.try("nvmlDeviceGetGridLicensableFeatures_v4", buffer)) return {};
  const supported = buffer.readInt32LE(0) !== 0;
  const count = supported ? Math.min(buffer.readUInt32LE(4), licensableFeatures.most) : 0;
  for (let feature = 0; feature < count; feature++) {
    const at = licensableFeatures.first + licensableFeatures.each * feature;
    if (buffer.readUInt32LE(at) !== licensableFeatures.vgpuCode) continue;
    return { vgpuLicensed: buffer.readUInt32LE(at + 4) > 0 ? 1 : 0 };
  }
  return { vgpuLicensed: 0 };
}

/** nvmlMemory_v2_t, or the older struct without the reserved part. Works on MIG handles too. */
export function readMemory(device: DeviceCaller): Values {
  const buffer = Buffer.alloc(40);
  buffer.writeUInt32LE(0x02000028, 0);
  const at = (offset: number): number => Number(buffer.readBigUInt64LE(offset));
  if (device.try("nvmlDeviceGetMemoryInfo_v2", buffer)) {
    return {
      frameBufferTotal: at(8),
      frameBufferReserved: at(16),
      frameBufferFree: at(24),
      frameBufferUsed: at(32),
    };
  }
  if (!device.try("nvmlDeviceGetMemoryInfo", buffer)) return {};
  return { frameBufferTotal: at(0), frameBufferFree: at(8), frameBufferUsed: at(16) };
}
