import { describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { parseGpuMetrics } from "../../collectors/amdgpu/gpu-metrics.ts";
import { parseDpmClock } from "../../collectors/amdgpu/sensors.ts";
import { amdgpu } from "../../collectors/amdgpu.ts";
import { collectFrom, createFixture, type Tree, unreadable } from "./fixture-host.ts";

/** A table of the firmware: `none` everywhere, and values at the offsets that the kernel's header gives. */
function table(
  version: readonly [number, number],
  size: number,
  values: readonly [number, 2 | 4 | 8, number][],
): Buffer {
  const bytes = Buffer.alloc(size, 0xff);
  bytes.writeUInt16LE(size, 0);
  bytes[2] = version[0];
  bytes[3] = version[1];
  for (const [at, width, value] of values) {
    if (width === 8) bytes.writeBigUInt64LE(BigInt(value), at);
    else bytes.writeUIntLE(value, at, width);
  }
  return bytes;
}

const pci = "sys/devices/pci0000:00";
function card(number: number, address: string, files: Tree, driver = "amdgpu"): Tree {
  const device = `${pci}/${address}`;
  return {
    [`sys/class/drm/card${number}`]: { to: `../../devices/pci0000:00/${address}/drm/card${number}` },
    [`${device}/drm/card${number}/device`]: { to: "../.." },
    [`${device}/vendor`]: "0x1002\n",
    [`${device}/driver`]: { to: `../../../bus/pci/drivers/${driver}` },
    [`sys/bus/pci/drivers/${driver}/`]: "",
    ...Object.fromEntries(Object.entries(files).map(([path, content]) => [`${device}/${path}`, content])),
  };
}

const mi300 = {
  serial_number: "SN0001\n",
  product_number: "PN-300\n",
  product_name: "Accelerator\n",
  device: "0x74a1\n",
  unique_id: "00112233aabbccdd\n",
  current_compute_partition: "SPX\n",
  current_memory_partition: "NPS1\n",
  "power/runtime_status": "active\n",
  mem_info_vram_total: `${192 * 1024 ** 3}\n`,
  mem_info_vram_used: `${3 * 1024 ** 3}\n`,
  gpu_busy_percent: "37\n",
  pp_dpm_sclk: "0: 132Mhz\n1: 2100Mhz\n",
  current_link_speed: "32.0 GT/s PCIe\n",
  current_link_width: "16\n",
  "hwmon/hwmon3/name": "amdgpu\n",
  "hwmon/hwmon3/temp2_label": "junction\n",
  "hwmon/hwmon3/temp2_input": "51000\n",
  "hwmon/hwmon3/temp2_crit": "100000\n",
  "hwmon/hwmon3/temp2_emergency": "105000\n",
  "hwmon/hwmon3/temp3_label": "mem\n",
  "hwmon/hwmon3/temp3_input": "43000\n",
  "hwmon/hwmon3/power1_cap": "750000000\n",
  "ras/umc_err_count": "ue: 1\nce: 4\nde: 2\n",
  "ras/pcie_bif_err_count": "ue: 0\nce: 3\n",
  "ras/gfx_err_count": "Query currently inaccessible\n",
  "ras/gpu_vram_bad_pages": "0x00001000 : 0x00001000 : R\n0x00002000 : 0x00001000 : P\n",
  gpu_metrics: table([1, 4], 288, [
    [10, 2, 312],
    [14, 2, 11],
    [24, 8, 1000],
    [40, 4, 0],
    [72, 8, 2],
    [88, 8, 5],
    [104, 8, 4096],
    [240, 2, 1900],
    [242, 2, 1905],
    [280, 2, 900],
  ]),
};

const labels = (gpu: number, serial = "SN0001"): string =>
  `card_model="PN-300",gpu_compute_partition_type="spx",gpu_id="${gpu}",gpu_partition_id="0",` +
  `hostname="${hostname()}",serial_number="${serial}"`;

describe("amdgpu", () => {
  test("an MI300 by its files, in the exporter's names and units", async () => {
    const { series, skipped } = await collectFrom(amdgpu, card(1, "0000:0c:00.0", mi300));
    const of = labels(0);
    const clock = (index: number, type: string): string =>
      `card_model="PN-300",clock_index="${index}",clock_type="${type}",${of.slice('card_model="PN-300",'.length)}`;
    for (const line of [
      `gpu_nodes_total{hostname="${hostname()}"} 1`,
      `aami_amd_gpu_temperature_threshold_celsius{${of.replace("serial_number", 'sensor="junction",serial_number')},threshold="critical"} 100`,
      `aami_amd_gpu_temperature_threshold_celsius{${of.replace("serial_number", 'sensor="junction",serial_number')},threshold="emergency"} 105`,
      `gpu_junction_temperature{${of}} 51`,
      `gpu_memory_temperature{${of}} 43`,
      `gpu_package_power{${of}} 312`,
      `gpu_power_usage{${of}} 312`,
      `gpu_energy_consumed{${of}} 15259`,
      `gpu_gfx_activity{${of}} 37`,
      `gpu_umc_activity{${of}} 11`,
      `gpu_total_vram{${of}} 196608`,
      `gpu_free_vram{${of}} 193536`,
      `gpu_clock{${clock(0, "system")}} 1900`,
      `gpu_clock{${clock(1, "system")}} 1905`,
      `gpu_clock{${clock(8, "memory")}} 900`,
      `gpu_max_clock{${clock(0, "system")}} 2100`,
      `pcie_speed{${of}} 32`,
      `pcie_bandwidth{${of}} 16000`,
      `pcie_replay_count{${of}} 5`,
      `gpu_ecc_uncorrect_umc{${of}} 1`,
      `gpu_ecc_deferred_umc{${of}} 2`,
      `gpu_ecc_correct_bif{${of}} 3`,
      `gpu_ecc_correct_total{${of}} 7`,
      `gpu_ecc_uncorrect_total{${of}} 1`,
      `gpu_health{${of}} 0`,
      `aami_amd_gpu_bad_pages{${of},state="retired"} 1`,
      `aami_amd_gpu_bad_pages{${of},state="fault"} 0`,
      `aami_amd_gpu_power_limit_watts{${of}} 750`,
      `aami_amd_gpu_throttled{${of}} 0`,
      'aami_amd_gpu_state{gpu_id="0",pci_bus_id="0000:0c:00.0",state="ok"} 1',
    ]) {
      expect(series).toContain(line);
    }
    expect(series.filter((line) => line.startsWith("gpu_xgmi_link_rx"))).toHaveLength(1);
    const absent = ["gpu_edge_temperature", "gpu_ecc_correct_gfx", "gpu_average_package_power", "gpu_total_gtt"];
    expect(series.filter((line) => absent.includes(line.split("{")[0] ?? ""))).toEqual([]);
    expect(skipped).toEqual([]);
  });

  test("GPUs are numbered by PCI address; other cards, outputs and partitions' nodes are no GPUs", async () => {
    const { series } = await collectFrom(amdgpu, {
      ...card(1, "0000:9c:00.0", { mem_info_vram_total: "1\n" }),
      ...card(2, "0000:0c:00.0", { mem_info_vram_total: "1\n" }),
      ...card(3, "0000:01:00.0", {}, "radeon"),
      [`${pci}/0000:02:00.0/vendor`]: "0x10de\n",
      "sys/class/drm/card0/device": { to: "../../../devices/pci0000:00/0000:02:00.0" },
      "sys/class/drm/card2-DP-1/status": "connected\n",
      "sys/class/drm/card4/device/modalias": "platform:amdgpu_xcp_0\n",
    });
    expect(series.filter((line) => line.includes('state="ok"'))).toEqual([
      'aami_amd_gpu_state{gpu_id="0",pci_bus_id="0000:0c:00.0",state="ok"} 1',
      'aami_amd_gpu_state{gpu_id="1",pci_bus_id="0000:9c:00.0",state="ok"} 1',
    ]);
  });

  test("no such GPU: absent", async () => {
    expect((await collectFrom(amdgpu, card(0, "0000:0c:00.0", {}, "radeon"))).state).toBe("absent");
    expect((await collectFrom(amdgpu, {})).state).toBe("absent");
  });

  test("a suspended GPU is not read", async () => {
    const { series } = await collectFrom(
      amdgpu,
      card(0, "0000:0c:00.0", { ...mi300, "power/runtime_status": "suspended\n", gpu_metrics: unreadable }),
    );
    expect(series.map((line) => line.split("{")[0])).toEqual([
      "aami_amd_gpu_info",
      "aami_amd_gpu_state",
      "aami_amd_gpu_state",
      "aami_amd_gpu_state",
      "gpu_nodes_total",
    ]);
  });

  test("a GPU that refuses its files is named, and costs nothing of the others", async () => {
    const { series, skipped } = await collectFrom(amdgpu, {
      ...card(0, "0000:0c:00.0", { ...mi300, mem_info_vram_total: unreadable }),
      ...card(1, "0000:9c:00.0", { ...mi300, serial_number: "SN0002\n" }),
    });
    expect(series).toContain('aami_amd_gpu_state{gpu_id="0",pci_bus_id="0000:0c:00.0",state="unreadable"} 1');
    expect(series).toContain(`gpu_gfx_activity{${labels(1, "SN0002")}} 37`);
    expect(series.some((line) => line.startsWith(`gpu_gfx_activity{${labels(0)}`))).toBe(false);
    expect(skipped).toEqual(["sys/class/drm/card0/device/mem_info_vram_total"]);
  });

  test.each([
    ["of an unknown version", table([2, 4], 120, [])],
    ["of another size", table([1, 6], 1600, [])],
    ["cut off", table([1, 4], 288, []).subarray(0, 100)],
    ["empty", Buffer.alloc(0)],
    ["garbage", Buffer.from("Query currently inaccessible")],
  ])("a table %s costs its own values", async (_name, gpu_metrics) => {
    const { series, skipped } = await collectFrom(amdgpu, card(0, "0000:0c:00.0", { ...mi300, gpu_metrics }));
    expect(skipped).toEqual(["sys/class/drm/card0/device/gpu_metrics"]);
    expect(series).toContain(`gpu_gfx_activity{${labels(0)}} 37`);
    expect(series.some((line) => line.startsWith("gpu_package_power"))).toBe(false);
  });

  test("garbage in a file costs its series", async () => {
    const { series, skipped } = await collectFrom(
      amdgpu,
      card(0, "0000:0c:00.0", { ...mi300, gpu_busy_percent: "busy\n", pp_dpm_sclk: "\0\n", current_link_speed: "?\n" }),
    );
    expect(skipped).toEqual(["sys/class/drm/card0/device/gpu_busy_percent"]);
    expect(series).toContain(`gpu_total_vram{${labels(0)}} 196608`);
  });

  test.each(Object.keys(mi300))("garbage in %s breaks no page", async (file) => {
    const garbage = Buffer.from([0xff, 0x00, 0x0a, 0x22, 0x7d, 0x5c, 0x80, 0x31, 0x0a, 0x20, 0x4d, 0x68, 0x7a]);
    const { series, state } = await collectFrom(amdgpu, card(0, "0000:0c:00.0", { ...mi300, [file]: garbage }));
    expect(state).toBe("ok");
    expect(series).toContain(`gpu_nodes_total{hostname="${hostname()}"} 1`);
    expect(series.filter((line) => / (NaN|undefined|[+-]?Infinity)$/.test(line))).toEqual([]);
  });

  test("the share of time held back is of the time between two readings", async () => {
    const device = `${pci}/0000:0c:00.0`;
    const at = (ticks: number, hot: number): Buffer =>
      table([1, 6], 1664, [
        [32, 4, ticks],
        [36, 4, hot],
        [306, 2, 1],
        [312, 4, 55],
        [312 + 96, 2, 9],
      ]);
    await using fixture = await createFixture(card(0, "0000:0c:00.0", { ...mi300, gpu_metrics: at(1000, 100) }));
    const collector = amdgpu.create({});
    const first = await fixture.collect(collector);
    await fixture.put({ [`${device}/gpu_metrics`]: at(2000, 350) });
    const second = await fixture.collect(collector);
    await fixture.put({ [`${device}/gpu_metrics`]: at(10, 1) });
    const afterReset = await fixture.collect(collector);
    const hot = ({ series }: { series: string[] }): string[] =>
      series.filter((line) => line.startsWith("gpu_violation_processor_hot")).map((line) => line.replace(/\{.*\}/, ""));
    expect(hot(first)).toEqual(["gpu_violation_processor_hot_residency_accumulated 100"]);
    expect(hot(second)).toEqual([
      "gpu_violation_processor_hot_residency_accumulated 350",
      "gpu_violation_processor_hot_residency_percentage 25",
    ]);
    expect(hot(afterReset)).toEqual(["gpu_violation_processor_hot_residency_accumulated 1"]);
    expect(first.series.filter((line) => line.startsWith("gpu_gfx_busy_instantaneous"))).toHaveLength(1);
    expect(first.series.find((line) => line.startsWith("gpu_vcn_busy_instantaneous"))).toEndWith(" 9");
  });
});

test.each([
  [[1, 3], 120, "temperature_edge", 4, 2],
  [[1, 3], 120, "energy_accumulator", 24, 8],
  [[1, 4], 288, "current_socket_power", 10, 2],
  [[1, 5], 360, "pcie_nak_sent_count_acc", 168, 4],
  [[1, 5], 360, "current_uclk", 352, 2],
  [[1, 6], 1664, "xgmi_write_data_acc", 192, 8],
  [[1, 6], 1664, "gfx_busy_inst_7", 312 + 7 * 168, 4],
] as const)("gpu_metrics %p of %d bytes: %s", (version, size, field, at, width) => {
  const metrics = parseGpuMetrics(table(version, size, [[at, width, 1234]]));
  expect([metrics.version, metrics.value(field)]).toEqual([version.join("."), 1234]);
  expect(metrics.value("temperature_hotspot")).toBeUndefined();
  expect([metrics.value("no_such_field"), metrics.list("no_such_field")]).toEqual([undefined, []]);
});

test.each([
  ["0: 132Mhz\n1: 2100Mhz *\n", { current: 2100, min: 132, max: 2100 }],
  ["0: 500Mhz\n1: 1700Mhz\nS: 19Mhz *\n", { current: 19, min: 500, max: 1700 }],
  ["", { current: undefined, min: undefined, max: undefined }],
])("clock states %p", (text, expected) => {
  expect(parseDpmClock(text)).toEqual(expected);
});
