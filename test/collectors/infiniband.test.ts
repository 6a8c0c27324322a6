import { expect, test } from "bun:test";
import { infiniband, parseRate } from "../../collectors/infiniband.ts";
import { collectFrom, createFixture, unreadable } from "./fixture-host.ts";

const device = "sys/class/infiniband/mlx5_0";
const port = `${device}/ports/1`;
const tree = {
  [`${device}/fw_ver`]: "28.39.1002\n",
  [`${device}/hca_type`]: "MT4129\n",
  [`${port}/state`]: "4: ACTIVE\n",
  [`${port}/phys_state`]: "5: LinkUp\n",
  [`${port}/rate`]: "400 Gb/sec (4X NDR)\n",
  [`${port}/counters/port_rcv_data`]: "1000\n",
  [`${port}/counters/symbol_error`]: "0\n",
  [`${port}/counters/VL15_dropped`]: "N/A (no PMA)\n",
  [`${port}/counters_ext/port_xmit_data_64`]: "2\n",
  [`${port}/hw_counters/out_of_sequence`]: "3\n",
  [`${port}/hw_counters/lifespan`]: "10\n",
  [`${port}/hw_counters/unknown_to_us`]: "9\n",
};

test("state, rate and counters of a port; a counter without an agent is left out in silence", async () => {
  const labels = 'device="mlx5_0",port="1"';
  const { series, skipped } = await collectFrom(infiniband, tree);
  expect(series).toEqual([
    `aami_infiniband_hw_counter_total{counter="unknown_to_us",${labels}} 9`,
    'aami_infiniband_port_info{device="mlx5_0",link_layer="",netdev="",pci_bus_id="",port="1"} 1',
    'node_infiniband_info{board_id="",device="mlx5_0",firmware_version="28.39.1002",hca_type="MT4129"} 1',
    `node_infiniband_legacy_data_transmitted_bytes_total{${labels}} 8`,
    `node_infiniband_lifespan_seconds{${labels}} 0.01`,
    `node_infiniband_out_of_sequence_packets_received_total{${labels}} 3`,
    `node_infiniband_physical_state_id{${labels}} 5`,
    `node_infiniband_port_data_received_bytes_total{${labels}} 4000`,
    `node_infiniband_rate_bytes_per_second{${labels}} 5e+10`,
    `node_infiniband_state_id{${labels}} 4`,
    `node_infiniband_symbol_error_total{${labels}} 0`,
  ]);
  expect(skipped).toEqual([]);
});

test("one counter that cannot be read costs one series", async () => {
  const { series, skipped } = await collectFrom(infiniband, {
    ...tree,
    [`${port}/counters/symbol_error`]: unreadable,
    [`${port}/hw_counters/out_of_sequence`]: "garbage\n",
    [`${port}/phys_state`]: "LinkUp\n",
  });
  expect(series).toHaveLength(8);
  expect(skipped).toEqual([
    `${port}/phys_state`,
    `${port}/counters/symbol_error`,
    `${port}/hw_counters/out_of_sequence`,
  ]);
});

test("a counter that is refused again and again is left alone for a while, the others are not", async () => {
  await using fixture = await createFixture({ ...tree, [`${port}/counters/symbol_error`]: unreadable });
  const collector = infiniband.create({ device_include: "", device_exclude: "" });
  for (let scrape = 0; scrape < 4; scrape += 1) await fixture.collect(collector);
  await fixture.put({ [`${port}/counters/symbol_error`]: "7\n", [`${port}/counters/port_rcv_data`]: "1001\n" });
  const { series, skipped } = await fixture.collect(collector);
  expect(series).toContain('node_infiniband_port_data_received_bytes_total{device="mlx5_0",port="1"} 4004');
  expect(series.some((line) => line.includes("symbol_error"))).toBeFalse();
  expect(skipped).toEqual([`${port}/counters/symbol_error`]);
});

test("a counter that the firmware refuses is asked for once: each refusal is a line in the kernel log", async () => {
  // What the kernel answers here is EINVAL, as mlx5 does.
  const refused = { to: "/sys/class/net/lo/speed" };
  await using fixture = await createFixture({ ...tree, [`${port}/counters/symbol_error`]: refused });
  const collector = infiniband.create({ device_include: "", device_exclude: "" });
  const first = await fixture.collect(collector);
  expect(first.skipped).toEqual([`${port}/counters/symbol_error`]);
  await fixture.put({ [`${port}/counters/symbol_error`]: "7\n" });
  const second = await fixture.collect(collector);
  expect(second.skipped).toEqual([`${port}/counters/symbol_error`]);
  expect(second.series.some((line) => line.includes("symbol_error"))).toBeFalse();
});

test("the network interface of a port, by the address table of RoCE or by the PCI device", async () => {
  const other = "sys/class/infiniband/mlx5_1";
  const pci = "sys/devices/pci0000:40/0000:41:00.0";
  const { series } = await collectFrom(infiniband, {
    ...tree,
    [`${port}/link_layer`]: "Ethernet\n",
    [`${port}/gid_attrs/ndevs/0`]: "ens1f0np0\n",
    [`${other}/ports/2/link_layer`]: "InfiniBand\n",
    [`${other}/ports/2/gid_attrs/ndevs/0`]: { to: "/sys/class/net/lo/speed" },
    [`${other}/device`]: { to: "../../../devices/pci0000:40/0000:41:00.0" },
    [`${pci}/net/ib0/dev_port`]: "0\n",
    [`${pci}/net/ib1/dev_port`]: "1\n",
  });
  expect(series.filter((line) => line.includes("port_info"))).toEqual([
    'aami_infiniband_port_info{device="mlx5_0",link_layer="Ethernet",netdev="ens1f0np0",pci_bus_id="",port="1"} 1',
    'aami_infiniband_port_info{device="mlx5_1",link_layer="InfiniBand",netdev="ib1",pci_bus_id="0000:41:00.0",port="2"} 1',
  ]);
});

test("a counter that recovers in time is read again", async () => {
  await using fixture = await createFixture({ ...tree, [`${port}/counters/symbol_error`]: unreadable });
  const collector = infiniband.create({ device_include: "", device_exclude: "" });
  for (let scrape = 0; scrape < 2; scrape += 1) await fixture.collect(collector);
  await fixture.put({ [`${port}/counters/symbol_error`]: "7\n" });
  const { series } = await fixture.collect(collector);
  expect(series).toContain('node_infiniband_symbol_error_total{device="mlx5_0",port="1"} 7');
});

test("devices by pattern; both patterns count", async () => {
  expect((await collectFrom(infiniband, tree, { device_exclude: "^mlx5" })).series).toEqual([]);
  expect((await collectFrom(infiniband, tree, { device_include: "_0$" })).series).not.toEqual([]);
  expect((await collectFrom(infiniband, tree, { device_include: "_0$", device_exclude: "^mlx5" })).series).toEqual([]);
});

test("absent without the class", async () => {
  expect((await collectFrom(infiniband, {})).state).toBe("absent");
});

test.each([
  ["2.5 Gb/sec (1X SDR)\n", 312_500_000],
  ["800 Gb/sec (4X XDR)", 100_000_000_000],
  ["", undefined],
  ["fast", undefined],
])("rate %j", (text, bytesPerSecond) => {
  expect(parseRate(text)).toBe(bytesPerSecond);
});
