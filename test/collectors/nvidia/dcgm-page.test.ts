import { expect, test } from "bun:test";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { type Counters, defaultCounters } from "../../../collectors/nvidia/counters.ts";
import { dcgmFamilies, type DcgmPageOptions } from "../../../collectors/nvidia/dcgm-page.ts";
import type { GpuReading } from "../../../collectors/nvidia/reading.ts";
import {
  applyReading,
  createWatchedGpu,
  type SeenXid,
  type WatchedGpu,
} from "../../../collectors/nvidia/watch-state.ts";
import { toXidMessage } from "../../../collectors/nvidia/xid-messages.ts";

const nowMs = 1_000_000;
const usual: DcgmPageOptions = {
  counters: { counters: [{ field: "DCGM_FI_DEV_GPU_TEMP", type: "gauge", help: "x" }], labels: [] },
  hostnameLabel: "Hostname",
  hostname: "node1",
  uuidLabel: "UUID",
  replaceBlanksInModelName: false,
};

function gpuWith(values: GpuReading["values"], more: Partial<GpuReading> = {}): WatchedGpu {
  const texts = { DCGM_FI_DEV_SERIAL: "165" };
  const gpu = createWatchedGpu({
    index: 3,
    uuid: "GPU-3",
    name: "NVIDIA H100 PCIe",
    pciBusId: "00000000:3B:00.0",
    texts,
  });
  const processCount = { compute: undefined, graphics: undefined };
  const empty = { gpm: undefined, links: [], linkKib: [], instances: [], processes: [], processCount, failures: {} };
  applyReading(gpu, { values, ...empty, ...more }, nowMs);
  return gpu;
}

function lines(
  gpu: WatchedGpu,
  options: Partial<DcgmPageOptions> = {},
  readable: readonly WatchedGpu[] = [gpu],
): string[] {
  const versions = { driverVersion: "570.1", nvmlVersion: "12.570.1" };
  return encodeFamilies(dcgmFamilies({ gpus: [gpu], readable, versions, jobs: {}, nowMs }, { ...usual, ...options }))
    .flatMap(({ text }) => text.trim().split("\n"))
    .filter((line) => !line.startsWith("#"));
}

const only = (field: string): { counters: Counters } => ({
  counters: { counters: [{ field, type: "gauge", help: "x" }], labels: [] },
});
const base = 'device="nvidia3",gpu="3",modelName="NVIDIA H100 PCIe",pci_bus_id="00000000:3B:00.0"';
const dashed = base.replace("NVIDIA H100 PCIe", "NVIDIA-H100-PCIe");

test.each([
  ["as up to 4.8.2", {}, `Hostname="node1",UUID="GPU-3",${base}`],
  ["as later", { hostnameLabel: "hostname" }, `UUID="GPU-3",${base.replace('gpu="3",', 'gpu="3",hostname="node1",')}`],
  ["without a host name", { hostnameLabel: undefined }, `UUID="GPU-3",${base}`],
  ["with the old name space", { hostnameLabel: undefined, uuidLabel: "uuid" }, `${base},uuid="GPU-3"`],
  ["without blanks", { hostnameLabel: undefined, replaceBlanksInModelName: true }, `UUID="GPU-3",${dashed}`],
] as const)("labels %s", (_, options, wanted) => {
  expect(lines(gpuWith({ temperatureCelsius: 40 }), options)).toEqual([`DCGM_FI_DEV_GPU_TEMP{${wanted}} 40`]);
});

test("label fields stand under the name that was asked for; what the device does not tell is left out", () => {
  const labels = ["DCGM_FI_DEV_BOARD_SERIAL", "DCGM_FI_DRIVER_VERSION", "DCGM_FI_DEV_BRAND"];
  const [line] = lines(gpuWith({ temperatureCelsius: 40 }), { counters: { ...usual.counters, labels } });
  expect(line).toContain('DCGM_FI_DEV_BOARD_SERIAL="165",DCGM_FI_DRIVER_VERSION="570.1",Hostname');
  expect(line).not.toContain("BRAND");
});

test.each([
  ["DCGM_FI_DEV_GPU_TEMP", { temperatureCelsius: 201 }, undefined],
  ["DCGM_FI_DEV_POWER_USAGE", { powerMilliwatts: 61_123 }, 61.123],
  ["DCGM_FI_DEV_FB_USED", { frameBufferUsed: 1_048_576 * 3 - 1 }, 2],
  ["DCGM_FI_DEV_FB_RESERVED", { frameBufferUsed: 1 }, undefined],
  ["DCGM_FI_DEV_FB_USED_PERCENT", { frameBufferTotal: 110, frameBufferUsed: 25, frameBufferReserved: 10 }, 0.25],
  ["DCGM_FI_DEV_POWER_VIOLATION", { throttlePowerNs: 17 }, 17],
  ["DCGM_FI_DEV_ROW_REMAP_FAILED", { remapFailed: 0 }, 0],
  ["DCGM_FI_DEV_GPU_UTIL", {}, undefined],
] as const)("%s, case %#", (field, values, wanted) => {
  const [line] = lines(gpuWith(values), only(field));
  expect(line === undefined ? undefined : Number(line.split(" ").at(-1))).toBe(wanted);
});

test("profiling: percent become ratios, MiB/s become bytes", () => {
  const gpu = gpuWith({}, { gpm: { 5: 12.5, 20: 1.5 } });
  expect(lines(gpu, only("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"))[0]).toEndWith(" 0.125");
  expect(lines(gpu, only("DCGM_FI_PROF_PCIE_TX_BYTES"))[0]).toEndWith(" 1.572864e+06");
  expect(lines(gpu, only("DCGM_FI_PROF_DRAM_ACTIVE"))).toEqual([]);
});

const xid = (code: number, agoMs: number, gpuInstance?: number): SeenXid => ({
  pciBusId: "0000:3b:00",
  code,
  gpuInstance,
  source: "kernel log",
  atMs: nowMs - agoMs,
});

test("the last Xid stays, of a GPU that cannot be read too", () => {
  const gpu = gpuWith({});
  expect(lines(gpu, only("DCGM_FI_DEV_XID_ERRORS"))).toEqual([]);
  gpu.xids = [xid(31, 900_000), xid(79, 800_000)];
  const labels = base.replace('gpu="3"', 'err_code="79",err_msg="GPU has fallen off the bus",gpu="3"');
  const wanted = `DCGM_FI_DEV_XID_ERRORS{Hostname="node1",UUID="GPU-3",${labels}} 79`;
  expect(lines(gpu, only("DCGM_FI_DEV_XID_ERRORS"))).toEqual([wanted]);
  expect(lines(gpu, only("DCGM_FI_DEV_XID_ERRORS"), [])).toEqual([wanted]);
});

test("an Xid of a GPU instance stands beside its other series", () => {
  const instance = { gpuInstanceId: 7, profile: "1g.10gb", values: {}, gpm: undefined };
  const gpu = gpuWith({}, { instances: [instance] });
  gpu.xids = [xid(43, 1000, 7)];
  expect(lines(gpu, only("DCGM_FI_DEV_XID_ERRORS"))[0]).toContain('GPU_I_ID="7",GPU_I_PROFILE="1g.10gb"');
});

test("counts over a window: what is older is not counted", () => {
  const gpu = gpuWith({ throttleReasons: 0x24 });
  gpu.xids = [xid(31, 400_000), xid(31, 2000), xid(31, 1000), xid(13, 500)];
  const counts = lines(gpu, only("DCGM_EXP_XID_ERRORS_COUNT"));
  expect(counts.map((line) => line.replace(/.*(window_size_in_ms.*)$/, "$1"))).toEqual([
    'window_size_in_ms="300000",xid="13"} 1',
    'window_size_in_ms="300000",xid="31"} 2',
  ]);
  const events = lines(gpu, only("DCGM_EXP_CLOCK_EVENTS_COUNT"));
  expect(events.map((line) => /clock_event="(\w+)"/.exec(line)?.[1])).toEqual(["power_cap", "sw_thermal"]);
});

test("with nothing to count in the window an entity counts 0, as with dcgm-exporter", () => {
  const gpu = gpuWith({ throttleReasons: 0 });
  gpu.xids = [xid(31, 400_000)];
  for (const field of ["DCGM_EXP_XID_ERRORS_COUNT", "DCGM_EXP_CLOCK_EVENTS_COUNT"]) {
    expect(lines(gpu, only(field))).toEqual([
      `${field}{Hostname="node1",UUID="GPU-3",${base},window_size_in_ms="300000"} 0`,
    ]);
  }
});

test("NVLink bandwidth by link: DCGM's rate; a link that does not tell has no series", () => {
  const gpu = gpuWith({}, { linkKib: [1_000_000, null] });
  applyReading(gpu, { ...requireReading(gpu), linkKib: [1_500_000, null] }, nowMs + 10_000);
  expect(lines(gpu, only("DCGM_FI_DEV_NVLINK_BANDWIDTH_L0"))[0]).toEndWith(" 50");
  expect(lines(gpu, only("DCGM_FI_DEV_NVLINK_THROUGHPUT_L0"))[0]).toEndWith(" 50");
  expect(lines(gpu, only("DCGM_FI_DEV_NVLINK_BANDWIDTH_L1"))).toEqual([]);
});

function requireReading({ reading }: WatchedGpu): GpuReading {
  if (reading === undefined) throw new Error("the GPU has no reading");
  return reading;
}

test("jobs: a GPU's file is not that of its instances", () => {
  const instance = { gpuInstanceId: 7, profile: "1g.10gb", values: { frameBufferUsed: 0 }, gpm: undefined };
  const gpu = gpuWith({}, { instances: [instance] });
  const jobsOf = (jobs: Readonly<Record<string, readonly string[]>>): (string | undefined)[] => {
    const versions = { driverVersion: "570.1", nvmlVersion: "12.570.1" };
    const page = { gpus: [gpu], readable: [gpu], versions, jobs, nowMs };
    const [family] = dcgmFamilies(page, { ...usual, ...only("DCGM_FI_DEV_FB_USED") });
    return (family?.samples ?? []).map(({ labels }) => labels["hpc_job"]);
  };
  expect(jobsOf({ "3": ["4711"] })).toEqual([undefined]);
  expect(jobsOf({ "3": ["4711"], "3.7": ["4712", "4713"] })).toEqual(["4712", "4713"]);
});

test.each([
  [0, "No Error"],
  [13, "Graphics Engine Exception"],
  [55, "Unused"],
  [79, "GPU has fallen off the bus"],
  [172, "Uncorrectable SRAM Error"],
  [173, "Unknown Error"],
])("Xid %i is told as %s", (code, wanted) => {
  expect(toXidMessage(code)).toBe(wanted);
});

test("the default list has dcgm-exporter's twenty-five families and its label", () => {
  expect(defaultCounters.counters).toHaveLength(25);
  expect(defaultCounters.labels).toEqual(["DCGM_FI_DRIVER_VERSION"]);
});
