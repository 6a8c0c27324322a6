import { describe, expect, test } from "bun:test";
import { netclass } from "../../collectors/netclass.ts";
import { netdev } from "../../collectors/netdev.ts";
import { scopeOf } from "../../collectors/netdev-addresses.ts";
import { toCounters, toLegacyNames } from "../../collectors/netdev-counters.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const header =
  "Inter-|   Receive                                                |  Transmit\n" +
  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
const table = `${header}  eth0:68210035552 520993275 1 2 3 4 5 6 9315587528 43451486 7 8 9 10 11 12
vethA:x 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
`;

describe("netdev from /proc/net/dev", () => {
  test("the published names", async () => {
    const page = await collectFrom(
      netdev,
      { "proc/net/dev": table },
      { netlink: false, device_include: "^(eth|veth)" },
    );
    expect(page.series).toEqual([
      'node_network_receive_bytes_total{device="eth0"} 6.8210035552e+10',
      'node_network_receive_compressed_total{device="eth0"} 5',
      'node_network_receive_drop_total{device="eth0"} 2',
      'node_network_receive_errs_total{device="eth0"} 1',
      'node_network_receive_fifo_total{device="eth0"} 3',
      'node_network_receive_frame_total{device="eth0"} 4',
      'node_network_receive_multicast_total{device="eth0"} 6',
      'node_network_receive_packets_total{device="eth0"} 5.20993275e+08',
      'node_network_transmit_bytes_total{device="eth0"} 9.315587528e+09',
      'node_network_transmit_carrier_total{device="eth0"} 11',
      'node_network_transmit_colls_total{device="eth0"} 10',
      'node_network_transmit_compressed_total{device="eth0"} 12',
      'node_network_transmit_drop_total{device="eth0"} 8',
      'node_network_transmit_errs_total{device="eth0"} 7',
      'node_network_transmit_fifo_total{device="eth0"} 9',
      'node_network_transmit_packets_total{device="eth0"} 4.3451486e+07',
    ]);
    expect(page.skipped).toEqual(["vethA in net/dev"]);
  });

  test("the interface alias as a label, empty where there is none", async () => {
    const files = { "proc/net/dev": table, "sys/class/net/eth0/ifalias": "uplink\n" };
    const { series } = await collectFrom(netdev, files, {
      netlink: false,
      label_ifalias: true,
      device_exclude: "^veth",
    });
    expect(series).toContain('node_network_receive_errs_total{device="eth0",ifalias="uplink"} 1');
    expect(series).toContain('node_network_receive_errs_total{device="lo",ifalias=""} 0');
  });

  test("both filters set is an error that names both flags", async () => {
    await expect(collectFrom(netdev, {}, { device_include: "a", device_exclude: "b" })).rejects.toThrow(
      "--collector.netdev.device-include and --collector.netdev.device-exclude are mutually exclusive",
    );
  });

  test.each([
    { options: { device_whitelist: "^lo$" }, devices: ["lo"] },
    { options: { device_blacklist: "^(lo|veth)" }, devices: ["eth0"] },
  ])("an older flag: $options", async ({ options, devices }) => {
    const { series } = await collectFrom(netdev, { "proc/net/dev": table }, { netlink: false, ...options });
    const found = series.map((line) => /receive_bytes_total\{device="(.*)"\}/.exec(line)?.[1] ?? "").filter(Boolean);
    expect(found).toEqual([...devices]);
  });
});

describe("netdev from rtnetlink", () => {
  const IFLA_STATS = 7;
  const IFLA_STATS64 = 23;
  const wide = Buffer.alloc(24 * 8);
  for (let index = 0; index < 24; index++) wide.writeBigUInt64LE(BigInt(index + 1) * 2n ** 33n, index * 8);
  const narrow = Buffer.alloc(23 * 4);
  for (let index = 0; index < 23; index++) narrow.writeUInt32LE(index + 1, index * 4);

  test("64-bit counters are taken before 32-bit ones", () => {
    const counters = toCounters(new Map([[IFLA_STATS, narrow], [IFLA_STATS64, wide]])); // prettier-ignore
    expect(counters?.get("receive_nohandler")).toBe(24 * 2 ** 33);
  });

  test("an older kernel's shorter structure", () => {
    const counters = toCounters(new Map([[IFLA_STATS, narrow]]));
    expect(counters?.get("transmit_compressed")).toBe(23);
    expect(counters?.get("receive_nohandler")).toBe(0);
    expect(toCounters(new Map())).toBeUndefined();
  });

  test("the default names are the sums of /proc/net/dev", () => {
    const legacy = toLegacyNames(toCounters(new Map([[IFLA_STATS, narrow]])) ?? new Map());
    expect(Object.fromEntries(legacy)).toEqual({
      ...{ receive_packets: 1, transmit_packets: 2, receive_bytes: 3, transmit_bytes: 4 },
      ...{ receive_errs: 5, transmit_errs: 6, receive_drop: 7 + 16, transmit_drop: 8, receive_multicast: 9 },
      ...{ transmit_colls: 10, receive_frame: 14 + 11 + 12 + 13, receive_fifo: 15 },
      ...{ transmit_carrier: 18 + 17 + 20 + 21, transmit_fifo: 19 },
      ...{ receive_compressed: 22, transmit_compressed: 23, receive_nohandler: 0 },
    });
  });

  test("this machine's own devices have the same names by both ways, but for nohandler", async () => {
    const byNetlink = await collectFrom(netdev, {}, { device_include: "^lo$" });
    const ofProc = await Bun.file("/proc/net/dev").text();
    const byProc = await collectFrom(netdev, { "proc/net/dev": ofProc }, { netlink: false, device_include: "^lo$" });
    const names = (lines: readonly string[]) => lines.map((line) => line.split(" ")[0]);
    const common = names(byNetlink.series).filter((name) => !name?.includes("nohandler"));
    expect(common).toEqual(names(byProc.series));
    expect(common.length).toBe(16);
  });
});

test.each([
  ["127.0.0.1", "link-local"],
  ["169.254.1.1", "link-local"],
  ["224.0.0.5", "link-local"],
  ["10.0.0.1", "global"],
  ["239.1.1.1", ""],
  ["::1", "link-local"],
  ["fe80::1", "link-local"],
  ["ff01::1", "interface-local"],
  ["ff02::1", "link-local"],
  ["2001:db8::1", "global"],
  ["fd00::1", "global"],
  ["::", ""],
])("scope of %s is %p", (address, scope) => expect(scopeOf(address)).toBe(scope));

const device = (name: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([file, text]) => [`sys/class/net/${name}/${file}`, text]));
const eth0 = { operstate: "up\n", flags: "0x1003\n", address: "00:00:5e:00:53:01\n", dev_id: "0x20\n", mtu: "9000\n" };

describe("netclass from sysfs", () => {
  test("hexadecimal numbers, megabits to bytes, admin state from the flags", async () => {
    const files = { ...device("eth0", { ...eth0, speed: "400000\n" }), "sys/class/net/bonding_masters": "bond0\n" };
    const { series } = await collectFrom(netclass, files);
    expect(series).toEqual([
      'node_network_device_id{device="eth0"} 32',
      'node_network_flags{device="eth0"} 4099',
      'node_network_info{address="00:00:5e:00:53:01",adminstate="up",broadcast="",device="eth0",duplex="",ifalias="",operstate="up"} 1',
      'node_network_mtu_bytes{device="eth0"} 9000',
      'node_network_speed_bytes{device="eth0"} 5e+10',
      'node_network_up{device="eth0"} 1',
    ]);
  });

  test.each([
    { ignore_invalid_speed: false, speeds: ['node_network_speed_bytes{device="eth0"} -125000'] },
    { ignore_invalid_speed: true, speeds: [] },
  ])("a speed of -1 with ignore_invalid_speed $ignore_invalid_speed", async ({ ignore_invalid_speed, speeds }) => {
    const files = device("eth0", { ...eth0, speed: "-1\n" });
    const { series } = await collectFrom(netclass, files, { ignore_invalid_speed });
    expect(series.filter((line) => line.startsWith("node_network_speed"))).toEqual([...speeds]);
  });

  test("one unreadable or odd attribute costs one series", async () => {
    const files = {
      ...device("eth0", { ...eth0, mtu: "large\n" }),
      "sys/class/net/eth0/tx_queue_len": unreadable,
    };
    const page = await collectFrom(netclass, files);
    expect(page.series).toHaveLength(4);
    expect(page.skipped).toEqual(["sys/class/net/eth0/mtu", "sys/class/net/eth0/tx_queue_len"]);
  });

  test("what the kernel refuses to say of a device that is not up is not asked for", async () => {
    const files = {
      ...device("ifb0", { operstate: "down\n", flags: "0x82\n", mtu: "1500\n" }),
      "sys/class/net/ifb0/carrier": unreadable,
      "sys/class/net/ifb0/speed": unreadable,
    };
    expect(await collectFrom(netclass, files)).toMatchObject({
      series: [
        'node_network_flags{device="ifb0"} 130',
        'node_network_info{address="",adminstate="down",broadcast="",device="ifb0",duplex="",ifalias="",operstate="down"} 1',
        'node_network_mtu_bytes{device="ifb0"} 1500',
        'node_network_up{device="ifb0"} 0',
      ],
      skipped: [],
    });
  });

  test("a device that has gone since it was listed is not one that is down", async () => {
    const files = { "sys/class/net/veth1/power/async": "disabled\n", "sys/class/net/eth0/operstate": "down\n" };
    const { series } = await collectFrom(netclass, files);
    expect(series.filter((line) => line.includes("veth1"))).toEqual([]);
    expect(series).toContain('node_network_up{device="eth0"} 0');
  });

  test("ignored devices, and a kernel without the folder", async () => {
    const files = { ...device("eth0", eth0), ...device("veth1", eth0) };
    const { series } = await collectFrom(netclass, files, { ignored_devices: "^veth" });
    expect(series.some((line) => line.includes("veth1"))).toBe(false);
    expect((await collectFrom(netclass, {})).state).toBe("absent");
  });
});

test("netclass by netlink agrees with sysfs about this machine's loopback device", async () => {
  const { series } = await collectFrom(netclass, {}, { netlink: true, ignored_devices: "^([^l]|l[^o]|lo.)" });
  expect(series).toContain('node_network_mtu_bytes{device="lo"} 65536');
  expect(series).toContain('node_network_protocol_type{device="lo"} 772');
  expect(series).toContain('node_network_iface_id{device="lo"} 1');
});
