import { expect, test } from "bun:test";
import { addDevice, ethtool, toMetricName } from "../../collectors/ethtool.ts";
import { type EthtoolDevice, openEthtool } from "../../collectors/ethtool-ioctl.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { createFamilySet } from "../../collectors/families.ts";
import { collectFrom } from "./fixture-host.ts";

function publish(answers: Partial<EthtoolDevice>, wanted = /.*/): string[] {
  const families = createFamilySet();
  addDevice(families, "eth0", { link: undefined, driver: undefined, statistics: [], ...answers }, wanted);
  const text = encodeFamilies(families.list()).map((family) => family.text);
  return text
    .join("")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("# HELP"));
}

test("statistics under the names of node_exporter, untyped; the common ones have names of their own", () => {
  expect(
    publish({
      statistics: [
        ["rx_bytes", 5],
        ["tx-discards phy", 6],
        ["port.rx_crc", 7],
      ],
    }),
  ).toEqual([
    "# TYPE node_ethtool_port_received_crc untyped",
    'node_ethtool_port_received_crc{device="eth0"} 7',
    "# TYPE node_ethtool_received_bytes_total untyped",
    'node_ethtool_received_bytes_total{device="eth0"} 5',
    "# TYPE node_ethtool_transmitted_discards_phy untyped",
    'node_ethtool_transmitted_discards_phy{device="eth0"} 6',
  ]);
});

test("statistics that become one name are all left out, others by pattern", () => {
  const statistics = [
    ["rx a", 1],
    ["rx_a", 2],
    ["Rx-a", 3],
    ["rx_b", 4],
    ["noise", 5],
  ] as const;
  expect(publish({ statistics }, /^rx/).filter((line) => !line.startsWith("#"))).toEqual([
    'node_ethtool_received_b{device="eth0"} 4',
  ]);
});

test("link modes, ports and pause from the masks", () => {
  const link = {
    supported: (1 << 5) | (1 << 6) | (1 << 10) | (1 << 13) | (1 << 31),
    advertised: 1 << 31,
    autonegotiate: 1,
  };
  const lines = publish({ link });
  expect(lines).toContain('node_network_supported_speed_bytes{device="eth0",duplex="full",mode="1000baseT"} 1.25e+08');
  expect(lines).toContain(
    'node_network_supported_speed_bytes{device="eth0",duplex="full",mode="25000baseCR"} 3.125e+09',
  );
  expect(lines).toContain(
    'node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="25000baseCR"} 3.125e+09',
  );
  expect(lines).toContain('node_network_supported_port_info{device="eth0",type="FIBRE"} 1');
  expect(lines).toContain('node_network_pause_supported{device="eth0"} 1');
  expect(lines).toContain('node_network_pause_advertised{device="eth0"} 0');
  expect(lines).toContain('node_network_asymmetricpause_supported{device="eth0"} 0');
  expect(lines).toContain('node_network_autonegotiate{device="eth0"} 1');
  expect(lines.filter((line) => line.startsWith("node_network_supported_speed_bytes"))).toHaveLength(2);
});

test("driver and firmware", () => {
  const driver = {
    driver: "mlx5_core",
    version: "6.8",
    firmware_version: "28.39",
    bus_info: "0000:45:00.0",
    expansion_rom_version: "",
  };
  expect(publish({ driver })).toContain(
    'node_ethtool_info{bus_info="0000:45:00.0",device="eth0",driver="mlx5_core",expansion_rom_version="",firmware_version="28.39",version="6.8"} 1',
  );
});

test.each([
  ["rx_queue_0_tx", "node_ethtool_received_queue_0_transmitted"],
  ["__RX_Errors", "node_ethtool_received_errors"],
  ["txrx", "node_ethtool_txrx"],
])("%s", (name, metric) => {
  expect(toMetricName(name)).toBe(metric);
});

test("the kernel's answer for an interface that is not there is empty", () => {
  using kernel = openEthtool();
  expect(kernel.read("nosuchdevice0")).toEqual({ link: undefined, driver: undefined, statistics: [] });
});

test("absent without interfaces in sysfs; an interface that is gone is a success without series", async () => {
  expect((await collectFrom(ethtool, {})).state).toBe("absent");
  expect(await collectFrom(ethtool, { "sys/class/net/gone0/": "" })).toMatchObject({ state: "ok", series: [] });
});
