import type { Labels, MetricFamily } from "../collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "../families.ts";
import { toKernelBusId } from "./pci-bus-id.ts";
import type { GpuReading, ValueName, Values } from "./reading.ts";
import { throttleReasons, throttleTimes } from "./throttle.ts";
import { gpuStates, type WatchedGpu } from "./watch-state.ts";

const head = {
  info: gauge("aami_gpu_info", "What an NVIDIA GPU is; the PCI bus id as the kernel log names it."),
  state: gauge(
    "aami_gpu_state",
    "State of a GPU as far as reading it goes: 1 for the current one of ok, lost, stuck, skipped, failed, released.",
  ),
  trouble: gauge("aami_gpu_trouble_info", "Why a GPU is not ok: the call that hangs, or the code that came back."),
  lastSample: gauge("aami_gpu_last_sample_timestamp_seconds", "Unix time of the newest complete reading of a GPU."),
  duration: gauge("aami_gpu_sample_duration_seconds", "How long the newest reading of a GPU took."),
  restarts: counter("aami_gpu_helper_restarts_total", "Processes that read the GPUs after the first one."),
  abandoned: gauge(
    "aami_gpu_helper_abandoned_processes",
    "Processes that read the GPUs, are stuck in the driver and cannot be ended.",
  ),
  unreadable: gauge("aami_gpu_unopened_devices", "GPUs that the driver counts and does not let anyone open."),
  throttle: gauge("aami_gpu_throttle_reason_active", "Whether this reason keeps the GPU's clocks down right now."),
  throttleTime: counter("aami_gpu_throttle_seconds_total", "Time that the GPU's clocks were kept down, by cause."),
  remapped: gauge("aami_gpu_remapped_rows", "Memory rows replaced by spare ones, by the kind of error."),
  remapBanks: gauge("aami_gpu_row_remap_banks", "Memory banks by how many spare rows they have left."),
  ecc: counter(
    "aami_gpu_ecc_errors_total",
    "ECC errors; volatile ones since the driver was loaded, aggregate ones over the life of the GPU.",
  ),
  links: gauge("aami_gpu_nvlinks", "NVLinks of the GPU by state."),
  nvlinkErrors: counter("aami_gpu_nvlink_errors_total", "NVLink errors of all links by kind."),
  nvlinkBytes: counter("aami_gpu_nvlink_bytes_total", "Payload over all NVLinks by direction."),
  threshold: gauge("aami_gpu_temperature_threshold_celsius", "Temperatures at which the GPU protects itself."),
  processes: gauge("aami_gpu_processes", "Processes with a context on the GPU by type."),
  processMemory: gauge(
    "aami_gpu_process_memory_bytes",
    "GPU memory that a process holds; the 64 processes of a GPU that hold most.",
  ),
};

interface Simple {
  readonly head: FamilyHead;
  readonly value: ValueName;
  readonly divisor?: number;
}

const simple: readonly Simple[] = [
  {
    head: gauge("aami_gpu_power_limit_watts", "Power limit that was set."),
    value: "powerLimitMilliwatts",
    divisor: 1000,
  },
  {
    head: gauge("aami_gpu_power_enforced_limit_watts", "Power limit in force, the lowest of all that apply."),
    value: "enforcedPowerLimitMilliwatts",
    divisor: 1000,
  },
  {
    head: gauge("aami_gpu_power_default_limit_watts", "Power limit the GPU comes with."),
    value: "defaultPowerLimitMilliwatts",
    divisor: 1000,
  },
  { head: gauge("aami_gpu_pcie_link_generation", "PCIe generation in use."), value: "pcieGeneration" },
  {
    head: gauge("aami_gpu_pcie_link_generation_max", "PCIe generation that GPU and slot can do."),
    value: "maxPcieGeneration",
  },
  { head: gauge("aami_gpu_pcie_link_width", "PCIe lanes in use."), value: "pcieWidth" },
  { head: gauge("aami_gpu_pcie_link_width_max", "PCIe lanes that GPU and slot can do."), value: "maxPcieWidth" },
  {
    head: gauge("aami_gpu_row_remap_pending", "1 when rows will be remapped at the next reset of the GPU."),
    value: "remapPending",
  },
  {
    head: gauge("aami_gpu_row_remap_failed", "1 when a row could not be remapped: the GPU has to be replaced."),
    value: "remapFailed",
  },
  {
    head: gauge("aami_gpu_retired_pages_pending", "1 when memory pages will be retired at the next reboot."),
    value: "retiredPending",
  },
  { head: gauge("aami_gpu_ecc_enabled", "1 when ECC is on."), value: "eccMode" },
  { head: gauge("aami_gpu_mig_enabled", "1 when the GPU is in MIG mode."), value: "migMode" },
  {
    head: gauge("aami_gpu_persistence_mode_enabled", "1 when the driver keeps the GPU initialised without users."),
    value: "persistenceMode",
  },
  {
    head: gauge(
      "aami_gpu_recovery_action",
      "What the driver asks for: 0 nothing, 1 GPU reset, 2 reboot, 3 drain peer-to-peer, 4 drain and reset.",
    ),
    value: "recoveryAction",
  },
  {
    head: gauge("aami_gpu_fabric_state", "NVSwitch fabric: 0 none, 1 not started, 2 in progress, 3 completed."),
    value: "fabricState",
  },
  {
    head: gauge("aami_gpu_fabric_status", "Return code of the GPU's registration with the NVSwitch fabric, 0 is good."),
    value: "fabricStatus",
  },
  {
    head: gauge("aami_gpu_fabric_health_mask", "Health bits of the NVSwitch fabric as NVML gives them."),
    value: "fabricHealthMask",
  },
];

export interface OwnPageInput {
  readonly gpus: readonly WatchedGpu[];
  /** Those of `gpus` with a sample that may be shown. */
  readonly readable: readonly WatchedGpu[];
  readonly driverVersion: string;
  readonly helperRestarts: number;
  readonly abandoned: number;
  readonly unreadable: number;
}

/** What dcgm-exporter does not tell, and how the readings came about. */
export function ownFamilies(input: OwnPageInput): MetricFamily[] {
  const set = createFamilySet();
  set.add(head.restarts, {}, input.helperRestarts);
  set.add(head.abandoned, {}, input.abandoned);
  set.add(head.unreadable, {}, input.unreadable);
  for (const gpu of input.gpus) addState(set, gpu, input.driverVersion);
  for (const { identity, reading } of input.readable) {
    if (reading !== undefined) addReading(set, { gpu: String(identity.index), uuid: identity.uuid }, reading);
  }
  return set.list();
}

const reasonMost = 200;

function addState(set: FamilySet, gpu: WatchedGpu, driverVersion: string): void {
  const { index, uuid, pciBusId, name, texts } = gpu.identity;
  const labels = { gpu: String(index), uuid };
  const info = {
    ...labels,
    pci_bus_id: toKernelBusId(pciBusId),
    model: name,
    serial: texts["DCGM_FI_DEV_SERIAL"] ?? "",
    vbios_version: texts["DCGM_FI_DEV_VBIOS_VERSION"] ?? "",
    driver_version: driverVersion,
  };
  set.add(head.info, info, 1);
  for (const each of gpuStates) set.add(head.state, { ...labels, state: each }, each === gpu.state ? 1 : 0);
  const { state, reason } = gpu;
  if (reason !== "") set.add(head.trouble, { ...labels, state, reason: reason.slice(0, reasonMost) }, 1);
  set.add(head.lastSample, labels, gpu.sampledAtMs === undefined ? undefined : gpu.sampledAtMs / 1000);
  set.add(head.duration, labels, gpu.durationSeconds);
}

function addReading(set: FamilySet, labels: Labels, { values, links, processes, processCount }: GpuReading): void {
  for (const { head: family, value, divisor = 1 } of simple) {
    const number = values[value];
    set.add(family, labels, number === undefined ? undefined : number / divisor);
  }
  addThrottling(set, labels, values);
  addMemoryErrors(set, labels, values);
  addNvlink(set, labels, values, links);
  for (const [threshold, value] of thresholds) set.add(head.threshold, { ...labels, threshold }, values[value]);
  for (const [type, count] of Object.entries(processCount)) set.add(head.processes, { ...labels, type }, count);
  for (const { pid, type, command, usedBytes } of processes) {
    set.add(head.processMemory, { ...labels, pid: String(pid), type, command }, usedBytes);
  }
}

const thresholds: readonly (readonly [string, ValueName])[] = [
  ["shutdown", "shutdownCelsius"],
  ["slowdown", "slowdownCelsius"],
  ["memory_max", "memoryMaxCelsius"],
  ["gpu_max", "gpuMaxCelsius"],
];

function addThrottling(set: FamilySet, labels: Labels, values: Values): void {
  const reasons = values.throttleReasons;
  if (reasons !== undefined) {
    for (const { bit, name } of throttleReasons) {
      set.add(head.throttle, { ...labels, reason: name }, (reasons & bit) === 0 ? 0 : 1);
    }
  }
  for (const { value, cause } of throttleTimes) {
    const nanoseconds = values[value];
    set.add(head.throttleTime, { ...labels, cause }, nanoseconds === undefined ? undefined : nanoseconds / 1e9);
  }
}

function addMemoryErrors(set: FamilySet, labels: Labels, values: Values): void {
  set.add(head.remapped, { ...labels, error: "correctable" }, values.remappedCorrectable);
  set.add(head.remapped, { ...labels, error: "uncorrectable" }, values.remappedUncorrectable);
  const banks = { max: "banksMax", high: "banksHigh", partial: "banksPartial", low: "banksLow", none: "banksNone" };
  for (const [spare, value] of Object.entries(banks)) {
    set.add(head.remapBanks, { ...labels, spare_rows: spare }, values[value as ValueName]);
  }
  const errors = [
    ["corrected", "volatile", values.eccCorrectedVolatile],
    ["uncorrected", "volatile", values.eccUncorrectedVolatile],
    ["corrected", "aggregate", values.eccCorrectedAggregate],
    ["uncorrected", "aggregate", values.eccUncorrectedAggregate],
  ] as const;
  for (const [error, count, value] of errors) set.add(head.ecc, { ...labels, error, counter: count }, value);
}

function addNvlink(set: FamilySet, labels: Labels, values: Values, links: readonly boolean[]): void {
  if (links.length > 0) {
    const active = links.filter(Boolean).length;
    set.add(head.links, { ...labels, state: "active" }, active);
    set.add(head.links, { ...labels, state: "inactive" }, links.length - active);
  }
  set.add(head.nvlinkErrors, { ...labels, kind: "crc_flit" }, values.nvlinkCrcFlitErrors);
  set.add(head.nvlinkErrors, { ...labels, kind: "crc_data" }, values.nvlinkCrcDataErrors);
  set.add(head.nvlinkErrors, { ...labels, kind: "replay" }, values.nvlinkReplayErrors);
  set.add(head.nvlinkErrors, { ...labels, kind: "recovery" }, values.nvlinkRecoveryErrors);
  const { nvlinkTransmitKib: sent, nvlinkReceiveKib: received } = values;
  set.add(head.nvlinkBytes, { ...labels, direction: "transmit" }, sent === undefined ? undefined : sent * 1024);
  set.add(head.nvlinkBytes, { ...labels, direction: "receive" }, received === undefined ? undefined : received * 1024);
}
