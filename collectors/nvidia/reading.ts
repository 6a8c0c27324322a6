import type { NvmlFault } from "./errors.ts";

/** What does not change while a GPU is there. Plain data, like everything here: it travels from the helper process. */
export interface GpuIdentity {
  /** NVML's index when the GPU was first seen; DCGM's "gpu". */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** As NVML writes it, "00000000:3B:00.0". */
  readonly pciBusId: string;
  /** Label-type fields of a counters file, by DCGM name; those the device does not tell are left out. */
  readonly texts: Readonly<Record<string, string>>;
}

export interface DeviceList {
  readonly driverVersion: string;
  readonly nvmlVersion: string;
  readonly gpus: readonly GpuIdentity[];
  /** Indexes that the driver counts and does not let us open. */
  readonly unreadable: readonly { readonly index: number; readonly fault: NvmlFault }[];
}

/** One number of one GPU, in the unit NVML uses; the name says which. */
export type ValueName =
  | "smClockMhz"
  | "memoryClockMhz"
  | "temperatureCelsius"
  | "memoryTemperatureCelsius"
  | "powerMilliwatts"
  | "energyMillijoules"
  | "powerLimitMilliwatts"
  | "enforcedPowerLimitMilliwatts"
  | "pcieReplays"
  | "pcieGeneration"
  | "pcieWidth"
  | "gpuPercent"
  | "memoryPercent"
  | "encoderPercent"
  | "decoderPercent"
  | "persistenceMode"
  | "performanceState"
  | "eccMode"
  | "migMode"
  | "throttleReasons"
  | "eccCorrectedVolatile"
  | "eccUncorrectedVolatile"
  | "eccCorrectedAggregate"
  | "eccUncorrectedAggregate"
  | "remappedCorrectable"
  | "remappedUncorrectable"
  | "remapPending"
  | "remapFailed"
  | "banksMax"
  | "banksHigh"
  | "banksPartial"
  | "banksLow"
  | "banksNone"
  | "retiredSingleBit"
  | "retiredDoubleBit"
  | "retiredPending"
  | "vgpuLicensed"
  | "fabricState"
  | "fabricStatus"
  | "fabricHealthMask"
  | "frameBufferFree"
  | "frameBufferUsed"
  | "frameBufferReserved"
  | "frameBufferTotal"
  | "throttlePowerNs"
  | "throttleThermalNs"
  | "throttleSyncBoostNs"
  | "throttleBoardLimitNs"
  | "throttleLowUtilizationNs"
  | "throttleReliabilityNs"
  | "nvlinkTransmitKib"
  | "nvlinkReceiveKib"
  | "nvlinkCrcFlitErrors"
  | "nvlinkCrcDataErrors"
  | "nvlinkReplayErrors"
  | "nvlinkRecoveryErrors"
  | "nvlinkCount"
  | "recoveryAction"
  | LimitName;

/** Read once per driver start. */
export type LimitName =
  | "defaultPowerLimitMilliwatts"
  | "minPowerLimitMilliwatts"
  | "maxPowerLimitMilliwatts"
  | "maxPcieGeneration"
  | "maxPcieWidth"
  | "shutdownCelsius"
  | "slowdownCelsius"
  | "memoryMaxCelsius"
  | "gpuMaxCelsius";

export type Values = { [Name in ValueName]?: number };

/** GPM metrics by NVML's metric id, in its units (percent, MiB/s). */
export type GpmValues = Readonly<Record<number, number>>;

export interface InstanceReading {
  readonly gpuInstanceId: number;
  /** "1g.10gb" */
  readonly profile: string;
  readonly values: Values;
  readonly gpm: GpmValues | undefined;
}

export interface ProcessReading {
  readonly pid: number;
  readonly type: "compute" | "graphics";
  readonly command: string;
  /** Undefined when the driver does not say. */
  readonly usedBytes: number | undefined;
}

export interface GpuReading {
  readonly values: Values;
  readonly gpm: GpmValues | undefined;
  /** NVLinks by number: up or not. */
  readonly links: readonly boolean[];
  /** Traffic of both directions by NVLink, where it was asked for; null for one that does not tell. */
  readonly linkKib: readonly (number | null)[];
  /** GPU instances of MIG. */
  readonly instances: readonly InstanceReading[];
  readonly processes: readonly ProcessReading[];
  readonly processCount: Readonly<Record<ProcessReading["type"], number | undefined>>;
  /** Calls that failed in another way than "not supported": by name, with the code. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface XidEvent {
  readonly pciBusId: string;
  readonly code: number;
  /** The GPU instance of MIG, where it is known. */
  readonly gpuInstance: number | undefined;
}
