import type { Labels } from "../collector.ts";
import { type FamilyHead, type FamilySet, gauge } from "../families.ts";
import type { AmdGpu } from "./device.ts";
import type { GpuMetrics } from "./gpu-metrics.ts";
import { parseDpmClock, parseTransferRate, readSensors } from "./sensors.ts";

/* Names, units and types are those of the ROCm device-metrics-exporter: megabytes, megahertz, and gauges throughout. */

const microjoulesPerUnit = 15.259;
const bytesPerMegabyte = 1024 * 1024;

const limit = gauge("aami_amd_gpu_power_limit_watts", "Power that the GPU may take.");
const linkWidth = gauge("aami_amd_gpu_pcie_link_width", "Lanes of the GPU's PCIe link in use.");
const maxLinkWidth = gauge("aami_amd_gpu_pcie_link_max_width", "Lanes that the GPU's PCIe link may use.");
const temperatureThreshold = gauge(
  "aami_amd_gpu_temperature_threshold_celsius",
  "Temperatures at which the GPU protects itself: critical, it slows down; emergency, it switches itself off.",
);
const throttled = gauge("aami_amd_gpu_throttled", "Whether the firmware holds the GPU back now for any reason.");

export function addEnvironment(set: FamilySet, gpu: AmdGpu, metrics: GpuMetrics | undefined, labels: Labels): void {
  const sensors = readSensors(gpu);
  const value = (field: string): number | undefined => metrics?.value(field);
  const add = (name: string, help: string, reading: number | undefined): void => set.gauge(name, help, reading, labels);
  add("gpu_edge_temperature", "Current edge temperature in Celsius", sensors.edge ?? value("temperature_edge"));
  add(
    "gpu_junction_temperature",
    "Current junction/hotspot temperature in Celsius",
    sensors.junction ?? value("temperature_hotspot"),
  );
  add("gpu_memory_temperature", "Current memory temperature in Celsius", sensors.memory ?? value("temperature_mem"));
  metrics?.list("temperature_hbm").forEach((celsius, index) => {
    const hbm = { ...labels, hbm_index: String(index) };
    set.gauge("gpu_hbm_temperature", "Current HBM temperature in Celsius", celsius, hbm);
  });
  for (const { sensor, threshold, celsius } of sensors.thresholds) {
    set.add(temperatureThreshold, { ...labels, sensor, threshold }, celsius);
  }
  const current = value("current_socket_power");
  const average = sensors.averageWatts ?? value("average_socket_power");
  add("gpu_package_power", "Current GPU power consumption in Watts", current);
  add("gpu_average_package_power", "Average GPU power consumption in Watts", average);
  add("gpu_power_usage", "GPU power usage in Watts", current ?? sensors.instantWatts ?? average);
  set.add(limit, labels, sensors.limitWatts);
  const energy = value("energy_accumulator");
  add(
    "gpu_energy_consumed",
    "Accumulated energy consumed by the GPU in microjoules",
    energy === undefined ? undefined : energy * microjoulesPerUnit,
  );
  const status = value("throttle_status");
  set.add(throttled, labels, status === undefined ? undefined : Number(status !== 0));
}

export function addActivity(set: FamilySet, gpu: AmdGpu, metrics: GpuMetrics | undefined, labels: Labels): void {
  const gfx = gpu.number("gpu_busy_percent") ?? percent(metrics?.value("average_gfx_activity"));
  const umc = gpu.number("mem_busy_percent") ?? percent(metrics?.value("average_umc_activity"));
  set.gauge("gpu_gfx_activity", "Graphics engine usage in percent (0 - 100)", gfx, labels);
  set.gauge("gpu_umc_activity", "Memory engine usage in percent (0 - 100)", umc, labels);
  const partitions = metrics?.value("num_partition") ?? 0;
  for (let partition = 0; partition < Math.min(partitions, 8); partition++) {
    const of = { ...labels, gpu_partition_id: String(partition) };
    const each = (field: string, family: FamilyHead, label: string): void =>
      metrics
        ?.list(`${field}_${partition}`)
        .forEach((busy, index) => set.add(family, { ...of, [label]: String(index) }, busy));
    each("gfx_busy_inst", gfxBusy, "xcc_index");
    each("vcn_busy", vcnBusy, "vcn_index");
    each("jpeg_busy", jpegBusy, "jpeg_index");
  }
}

const gfxBusy = gauge("gpu_gfx_busy_instantaneous", "Graphics engine usage now, in percent, per compute die");
const vcnBusy = gauge("gpu_vcn_busy_instantaneous", "Video engine usage now, in percent, per engine");
const jpegBusy = gauge("gpu_jpeg_busy_instantaneous", "JPEG engine usage now, in percent, per engine");

/** Some boards count in hundredths of a percent. */
function percent(value: number | undefined): number | undefined {
  return value !== undefined && value > 100 ? value / 100 : value;
}

const memories = [
  ["vram", "mem_info_vram", "VRAM"],
  ["visible_vram", "mem_info_vis_vram", "visible VRAM"],
  ["gtt", "mem_info_gtt", "GTT"],
] as const;

export function addMemory(set: FamilySet, gpu: AmdGpu, labels: Labels): void {
  for (const [name, file, title] of memories) {
    const megabytes = (suffix: string): number | undefined => {
      const bytes = gpu.number(`${file}_${suffix}`);
      return bytes === undefined ? undefined : Math.floor(bytes / bytesPerMegabyte);
    };
    const [total, used] = [megabytes("total"), megabytes("used")];
    set.gauge(`gpu_total_${name}`, `Total ${title} in MB`, total, labels);
    set.gauge(`gpu_used_${name}`, `Used ${title} in MB`, used, labels);
    if (total === undefined || used === undefined) continue;
    set.gauge(`gpu_free_${name}`, `Free ${title} in MB`, total - used, labels);
  }
}

/** clock_type, file with the states, field of gpu_metrics, and the exporter's first clock_index. */
const clocks = [
  ["system", "pp_dpm_sclk", "current_gfxclk", 0],
  ["memory", "pp_dpm_mclk", "current_uclk", 8],
  ["video", "pp_dpm_vclk", "current_vclk0", 9],
  ["data", "pp_dpm_dclk", "current_dclk0", 13],
  ["soc", "pp_dpm_socclk", "current_socclk", 17],
] as const;

export function addClocks(set: FamilySet, gpu: AmdGpu, metrics: GpuMetrics | undefined, labels: Labels): void {
  for (const [type, file, field, firstIndex] of clocks) {
    const states = parseDpmClock(gpu.text(file) ?? "");
    const readings = metrics?.list(field) ?? [];
    const current = readings.some((mhz) => mhz !== undefined) ? readings : [states.current];
    current.forEach((mhz, index) => {
      const of = { ...labels, clock_type: type, clock_index: String(firstIndex + index) };
      set.gauge("gpu_clock", "Current clock in MHz", mhz, of);
    });
    const of = { ...labels, clock_type: type, clock_index: String(firstIndex) };
    set.gauge("gpu_min_clock", "Minimum clock in MHz", states.min, of);
    set.gauge("gpu_max_clock", "Maximum clock in MHz", states.max, of);
  }
}

/** GB/s in tables before 1.6, which has Mb/s. */
function bandwidth(metrics: GpuMetrics | undefined): number | undefined {
  const value = metrics?.value("pcie_bandwidth_inst");
  return value === undefined || metrics?.version === "1.6" ? value : value * 8000;
}

export function addLinks(set: FamilySet, gpu: AmdGpu, metrics: GpuMetrics | undefined, labels: Labels): void {
  const value = (field: string): number | undefined => metrics?.value(field);
  const add = (name: string, help: string, reading: number | undefined): void => set.gauge(name, help, reading, labels);
  const tenths = value("pcie_link_speed");
  const speed = parseTransferRate(gpu.text("current_link_speed")) ?? (tenths === undefined ? undefined : tenths / 10);
  add("pcie_speed", "Current PCIe speed in GT/s", speed);
  add("pcie_max_speed", "Maximum PCIe speed in GT/s", parseTransferRate(gpu.text("max_link_speed")));
  set.add(linkWidth, labels, gpu.number("current_link_width") ?? value("pcie_link_width"));
  set.add(maxLinkWidth, labels, gpu.number("max_link_width"));
  add("pcie_bandwidth", "Current instantaneous PCIe bandwidth in Mb/s", bandwidth(metrics));
  add("pcie_bidirectional_bandwidth", "Accumulated PCIe bandwidth in GB/s", value("pcie_bandwidth_acc"));
  add(
    "pcie_replay_count",
    "Total number of PCIe replays",
    value("pcie_replay_count_acc") ?? gpu.number("pcie_replay_count"),
  );
  add("pcie_recovery_count", "Total number of PCIe recoveries", value("pcie_l0_to_recov_count_acc"));
  add("pcie_replay_rollover_count", "Total number of PCIe replay rollovers", value("pcie_replay_rover_count_acc"));
  add("pcie_nack_sent_count", "Total number of PCIe NAKs sent", value("pcie_nak_sent_count_acc"));
  add("pcie_nack_received_count", "Total number of PCIe NAKs received", value("pcie_nak_rcvd_count_acc"));
  for (const [name, field] of [
    ["rx", "xgmi_read_data_acc"],
    ["tx", "xgmi_write_data_acc"],
  ] as const) {
    metrics?.list(field).forEach((kilobytes, index) => {
      const of = { ...labels, link_index: String(index) };
      set.gauge(`gpu_xgmi_link_${name}`, `Accumulated XGMI link data ${name} in KB`, kilobytes, of);
    });
  }
}
