import { expect, test } from "bun:test";
import { createPciNames } from "../../collectors/pci-names.ts";
import { parsePciNumber, pcidevice } from "../../collectors/pcidevice.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const device = "sys/devices/pci0000:40/0000:40:01.3/0000:45:00.0";
const tree = {
  "sys/bus/pci/devices/0000:45:00.0": { to: "../../../devices/pci0000:40/0000:40:01.3/0000:45:00.0" },
  [`${device}/class`]: "0x030200\n",
  [`${device}/vendor`]: "0x10de\n",
  [`${device}/device`]: "0x2330\n",
  [`${device}/subsystem_vendor`]: "0x10de\n",
  [`${device}/subsystem_device`]: "0x16c1\n",
  [`${device}/revision`]: "0xa1\n",
  [`${device}/current_link_speed`]: "32.0 GT/s PCIe\n",
  [`${device}/current_link_width`]: "8\n",
  [`${device}/max_link_speed`]: "Unknown\n",
  [`${device}/numa_node`]: "1\n",
  [`${device}/power_state`]: "D0\n",
};
const place = 'bus="45",device="00",function="0",segment="0000"';

test("ids, link, NUMA node and power state", async () => {
  const { series, skipped } = await collectFrom(pcidevice, tree);
  expect(series).toContain(`node_pcidevice_current_link_transfers_per_second{${place}} 3.2e+10`);
  expect(series).toContain(`node_pcidevice_max_link_transfers_per_second{${place}} -1`);
  expect(series).toContain(`node_pcidevice_max_link_width{${place}} -1`);
  expect(series).toContain(`node_pcidevice_sriov_numvfs{${place}} 0`);
  expect(series).toContain(`node_pcidevice_numa_node{${place}} 1`);
  expect(series).toContain(
    'node_pcidevice_info{bus="45",class_id="0x030200",device="00",device_id="0x2330",function="0",parent_bus="40",parent_device="01",parent_function="3",parent_segment="0000",revision="0xa1",segment="0000",subsystem_device_id="0x16c1",subsystem_vendor_id="0x10de",vendor_id="0x10de"} 1',
  );
  expect(series.filter((line) => line.includes("power_state") && line.endsWith(" 1"))).toHaveLength(1);
  expect(skipped).toEqual([]);
});

test("an attribute that cannot be read costs one series", async () => {
  const whole = await collectFrom(pcidevice, tree);
  const { series, skipped } = await collectFrom(pcidevice, { ...tree, [`${device}/current_link_width`]: unreadable });
  expect(series).toHaveLength(whole.series.length - 1);
  expect(skipped).toEqual(["sys/bus/pci/devices/0000:45:00.0/current_link_width"]);
});

const pciIds = `# a comment
10de  NVIDIA Corporation
\t2330  GH100 [H100 SXM5 80GB]
\t\t10de 16c1  HGX H100
C 03  Display controller
\t02  3D controller
`;

test("names from pci.ids, once they are asked for", async () => {
  const { series } = await collectFrom(pcidevice, { ...tree, "usr/share/misc/pci.ids": pciIds }, { names: true });
  const info = series.find((line) => line.startsWith("node_pcidevice_info")) ?? "";
  expect(info).toContain('class_name="3D controller"');
  expect(info).toContain('device_name="GH100 [H100 SXM5 80GB]"');
  expect(info).toContain(
    'subsystem_device_name="HGX H100",subsystem_vendor_id="0x10de",subsystem_vendor_name="NVIDIA Corporation"',
  );
});

test("an id without a name stands for itself", () => {
  const ids = {
    vendor_id: "0xABCD",
    device_id: "0x0001",
    subsystem_vendor_id: "0x0000",
    subsystem_device_id: "0x0002",
  };
  expect(createPciNames(pciIds).describe({ ...ids, class_id: "0x030001" })).toEqual({
    vendor_name: "abcd",
    device_name: "0001",
    subsystem_vendor_name: "0000",
    subsystem_device_name: "0002",
    class_name: "Display controller",
  });
  expect(createPciNames("").describe({ ...ids, class_id: "0x030001" })).toMatchObject({
    class_name: "Unknown class (030001)",
  });
});

test("absent without a PCI bus", async () => {
  expect((await collectFrom(pcidevice, {})).state).toBe("absent");
});

test.each([
  ["2.5 GT/s PCIe", 2.5e9],
  ["16", 16],
  ["", -1],
  ["Unknown", -1],
  ["255 lanes", undefined],
])("%j", (text, value) => {
  expect(parsePciNumber(text, -1)).toBe(value);
});
