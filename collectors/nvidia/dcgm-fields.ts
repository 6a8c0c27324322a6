import type { GpuIdentity, GpmValues, ValueName, Values } from "./reading.ts";

/** What a series is about: a GPU, or a GPU instance of one in MIG mode. */
export interface Entity {
  readonly identity: GpuIdentity;
  /** Of the GPU. */
  readonly values: Values;
  /** Of the instance where it has its own, else of the GPU. */
  readonly own: Values;
  readonly gpm: GpmValues | undefined;
  readonly nvlinkRate: number | undefined;
  /** The same by link, where it was asked for. */
  readonly linkRates: readonly (number | undefined)[];
}

export type ReadField = (entity: Entity) => number | undefined;

interface DcgmField {
  readonly name: string;
  /** What DCGM 4.6 calls the same field. */
  readonly alias?: string;
  readonly read: ReadField;
}

const mebibyte = 1024 * 1024;
/** DCGM blanks temperatures beyond this: a sensor that is not there. */
const hottestCelsius = 200;

const value =
  (name: ValueName, divisor = 1): ReadField =>
  ({ values }) =>
    values[name] === undefined ? undefined : values[name] / divisor;
const temperature =
  (name: ValueName): ReadField =>
  ({ values }) =>
    (values[name] ?? Infinity) > hottestCelsius ? undefined : values[name];
const mebibytes =
  (name: ValueName): ReadField =>
  ({ own }) =>
    own[name] === undefined ? undefined : Math.trunc(own[name] / mebibyte);
const ratio =
  (id: number): ReadField =>
  ({ gpm }) =>
    gpm?.[id] === undefined ? undefined : gpm[id] / 100;
const bytesPerSecond =
  (id: number): ReadField =>
  ({ gpm }) =>
    gpm?.[id] === undefined ? undefined : Math.trunc(gpm[id] * mebibyte);
const frameBufferUsedRatio: ReadField = ({ own: { frameBufferTotal, frameBufferUsed, frameBufferReserved = 0 } }) =>
  frameBufferTotal === undefined || frameBufferUsed === undefined
    ? undefined
    : frameBufferUsed / (frameBufferTotal - frameBufferReserved);

const field = (name: string, read: ReadField, alias?: string): DcgmField =>
  alias === undefined ? { name, read } : { name, read, alias };

const links = 18;
const linkBandwidth = "DCGM_FI_DEV_NVLINK_BANDWIDTH_L";
const linkThroughput = "DCGM_FI_DEV_NVLINK_THROUGHPUT_L";

function linkFields(): DcgmField[] {
  return Array.from({ length: links }, (_, link) =>
    field(`${linkBandwidth}${link}`, ({ linkRates }) => linkRates[link], `${linkThroughput}${link}`),
  );
}

/** Whether one of these fields takes a reading of every NVLink: two questions more for each. */
export function needsLinks(names: readonly string[]): boolean {
  return names.some((name) => name.startsWith(linkBandwidth) || name.startsWith(linkThroughput));
}

const fields: readonly DcgmField[] = [
  field("DCGM_FI_DEV_PERSISTENCE_MODE", value("persistenceMode")),
  field("DCGM_FI_DEV_MIG_MODE", value("migMode")),
  field("DCGM_FI_DEV_SM_CLOCK", value("smClockMhz")),
  field("DCGM_FI_DEV_MEM_CLOCK", value("memoryClockMhz")),
  field("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", value("throttleReasons"), "DCGM_FI_DEV_CLOCKS_EVENT_REASONS"),
  field("DCGM_FI_DEV_MEMORY_TEMP", temperature("memoryTemperatureCelsius"), "DCGM_FI_DEV_MEMORY_TEMP_CELSIUS"),
  field("DCGM_FI_DEV_GPU_TEMP", temperature("temperatureCelsius"), "DCGM_FI_DEV_GPU_TEMP_CELSIUS"),
  field("DCGM_FI_DEV_POWER_USAGE", value("powerMilliwatts", 1000), "DCGM_FI_DEV_BOARD_POWER_WATTS"),
  field("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", value("energyMillijoules")),
  field("DCGM_FI_DEV_SLOWDOWN_TEMP", value("slowdownCelsius")),
  field("DCGM_FI_DEV_SHUTDOWN_TEMP", value("shutdownCelsius")),
  field("DCGM_FI_DEV_POWER_MGMT_LIMIT", value("powerLimitMilliwatts", 1000)),
  field("DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN", value("minPowerLimitMilliwatts", 1000)),
  field("DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX", value("maxPowerLimitMilliwatts", 1000)),
  field("DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF", value("defaultPowerLimitMilliwatts", 1000)),
  field("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", value("enforcedPowerLimitMilliwatts", 1000)),
  field("DCGM_FI_DEV_PSTATE", value("performanceState")),
  field("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", value("pcieReplays"), "DCGM_FI_DEV_PCIE_REPLAY_TOTAL"),
  field("DCGM_FI_DEV_GPU_UTIL", value("gpuPercent"), "DCGM_FI_DEV_GPU_UTIL_RATIO"),
  field("DCGM_FI_DEV_MEM_COPY_UTIL", value("memoryPercent")),
  field("DCGM_FI_DEV_ENC_UTIL", value("encoderPercent")),
  field("DCGM_FI_DEV_DEC_UTIL", value("decoderPercent")),
  field("DCGM_FI_DEV_PCIE_MAX_LINK_GEN", value("maxPcieGeneration")),
  field("DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH", value("maxPcieWidth")),
  field("DCGM_FI_DEV_PCIE_LINK_GEN", value("pcieGeneration")),
  field("DCGM_FI_DEV_PCIE_LINK_WIDTH", value("pcieWidth")),
  field("DCGM_FI_DEV_POWER_VIOLATION", value("throttlePowerNs")),
  field("DCGM_FI_DEV_THERMAL_VIOLATION", value("throttleThermalNs")),
  field("DCGM_FI_DEV_SYNC_BOOST_VIOLATION", value("throttleSyncBoostNs")),
  field("DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", value("throttleBoardLimitNs")),
  field("DCGM_FI_DEV_LOW_UTIL_VIOLATION", value("throttleLowUtilizationNs")),
  field("DCGM_FI_DEV_RELIABILITY_VIOLATION", value("throttleReliabilityNs")),
  field("DCGM_FI_DEV_FB_TOTAL", mebibytes("frameBufferTotal")),
  field("DCGM_FI_DEV_FB_FREE", mebibytes("frameBufferFree")),
  field("DCGM_FI_DEV_FB_USED", mebibytes("frameBufferUsed")),
  field("DCGM_FI_DEV_FB_RESERVED", mebibytes("frameBufferReserved")),
  field("DCGM_FI_DEV_FB_USED_PERCENT", frameBufferUsedRatio),
  field("DCGM_FI_DEV_ECC_CURRENT", value("eccMode")),
  field("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", value("eccCorrectedVolatile")),
  field("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", value("eccUncorrectedVolatile")),
  field("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", value("eccCorrectedAggregate")),
  field("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", value("eccUncorrectedAggregate")),
  field("DCGM_FI_DEV_RETIRED_SBE", value("retiredSingleBit"), "DCGM_FI_DEV_PAGE_RETIRED_SBE_TOTAL"),
  field("DCGM_FI_DEV_RETIRED_DBE", value("retiredDoubleBit"), "DCGM_FI_DEV_PAGE_RETIRED_DBE_TOTAL"),
  field("DCGM_FI_DEV_RETIRED_PENDING", value("retiredPending"), "DCGM_FI_DEV_PAGE_RETIRED_PENDING"),
  field(
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    value("remappedUncorrectable"),
    "DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL",
  ),
  field(
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
    value("remappedCorrectable"),
    "DCGM_FI_DEV_ROW_REMAP_CORRECTABLE_TOTAL",
  ),
  field("DCGM_FI_DEV_ROW_REMAP_FAILURE", value("remapFailed"), "DCGM_FI_DEV_ROW_REMAP_FAILED"),
  field("DCGM_FI_DEV_ROW_REMAP_PENDING", value("remapPending")),
  field(
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    value("nvlinkCrcFlitErrors"),
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL",
  ),
  field(
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
    value("nvlinkCrcDataErrors"),
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_TOTAL",
  ),
  field(
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
    value("nvlinkReplayErrors"),
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL",
  ),
  field(
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
    value("nvlinkRecoveryErrors"),
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL",
  ),
  field("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", ({ nvlinkRate }) => nvlinkRate, "DCGM_FI_DEV_NVLINK_THROUGHPUT_TOTAL"),
  ...linkFields(),
  field("DCGM_FI_DEV_VGPU_LICENSE_STATUS", value("vgpuLicensed")),
  field("DCGM_FI_PROF_GR_ENGINE_ACTIVE", ratio(1), "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO"),
  field("DCGM_FI_PROF_SM_ACTIVE", ratio(2), "DCGM_FI_PROF_SM_UTIL_RATIO"),
  field("DCGM_FI_PROF_SM_OCCUPANCY", ratio(3), "DCGM_FI_PROF_SM_OCCUPANCY_RATIO"),
  field("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", ratio(5), "DCGM_FI_PROF_TENSOR_UTIL_RATIO"),
  field("DCGM_FI_PROF_DRAM_ACTIVE", ratio(10), "DCGM_FI_PROF_DRAM_UTIL_RATIO"),
  field("DCGM_FI_PROF_PIPE_FP64_ACTIVE", ratio(11), "DCGM_FI_PROF_FP64_UTIL_RATIO"),
  field("DCGM_FI_PROF_PIPE_FP32_ACTIVE", ratio(12), "DCGM_FI_PROF_FP32_UTIL_RATIO"),
  field("DCGM_FI_PROF_PIPE_FP16_ACTIVE", ratio(13), "DCGM_FI_PROF_FP16_UTIL_RATIO"),
  field("DCGM_FI_PROF_PCIE_TX_BYTES", bytesPerSecond(20)),
  field("DCGM_FI_PROF_PCIE_RX_BYTES", bytesPerSecond(21)),
  field("DCGM_FI_PROF_NVLINK_TX_BYTES", bytesPerSecond(61)),
  field("DCGM_FI_PROF_NVLINK_RX_BYTES", bytesPerSecond(60)),
  field("DCGM_FI_PROF_PIPE_TENSOR_IMMA_ACTIVE", ratio(9)),
  field("DCGM_FI_PROF_PIPE_TENSOR_HMMA_ACTIVE", ratio(7)),
  field("DCGM_FI_PROF_PIPE_TENSOR_DFMA_ACTIVE", ratio(6)),
  field("DCGM_FI_PROF_PIPE_INT_ACTIVE", ratio(4)),
];

/** By name and by the alias. */
export const dcgmFields: ReadonlyMap<string, ReadField> = new Map(
  fields.flatMap(({ name, alias, read }) =>
    alias === undefined
      ? [[name, read] as const]
      : ([
          [name, read],
          [alias, read],
        ] as const),
  ),
);

/** Fields that are told as labels: what DCGM 4.6 calls them, by the name the helper uses. */
export const labelFields: ReadonlyMap<string, string> = new Map([
  ["DCGM_FI_DRIVER_VERSION", "DCGM_FI_DRIVER_VERSION"],
  ["DCGM_FI_SYSTEM_DRIVER_VERSION", "DCGM_FI_DRIVER_VERSION"],
  ["DCGM_FI_NVML_VERSION", "DCGM_FI_NVML_VERSION"],
  ["DCGM_FI_SYSTEM_NVML_VERSION", "DCGM_FI_NVML_VERSION"],
  ["DCGM_FI_DEV_BRAND", "DCGM_FI_DEV_BRAND"],
  ["DCGM_FI_DEV_GPU_BRAND", "DCGM_FI_DEV_BRAND"],
  ["DCGM_FI_DEV_SERIAL", "DCGM_FI_DEV_SERIAL"],
  ["DCGM_FI_DEV_BOARD_SERIAL", "DCGM_FI_DEV_SERIAL"],
  ["DCGM_FI_DEV_OEM_INFOROM_VER", "DCGM_FI_DEV_OEM_INFOROM_VER"],
  ["DCGM_FI_DEV_INFOROM_OEM_VERSION", "DCGM_FI_DEV_OEM_INFOROM_VER"],
  ["DCGM_FI_DEV_ECC_INFOROM_VER", "DCGM_FI_DEV_ECC_INFOROM_VER"],
  ["DCGM_FI_DEV_INFOROM_ECC_VERSION", "DCGM_FI_DEV_ECC_INFOROM_VER"],
  ["DCGM_FI_DEV_POWER_INFOROM_VER", "DCGM_FI_DEV_POWER_INFOROM_VER"],
  ["DCGM_FI_DEV_INFOROM_POWER_VERSION", "DCGM_FI_DEV_POWER_INFOROM_VER"],
  ["DCGM_FI_DEV_INFOROM_IMAGE_VER", "DCGM_FI_DEV_INFOROM_IMAGE_VER"],
  ["DCGM_FI_DEV_INFOROM_IMAGE_VERSION", "DCGM_FI_DEV_INFOROM_IMAGE_VER"],
  ["DCGM_FI_DEV_VBIOS_VERSION", "DCGM_FI_DEV_VBIOS_VERSION"],
]);
