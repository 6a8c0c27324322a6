import { describe, expect, test } from "bun:test";
import { arp, parseArp } from "../../collectors/arp.ts";
import { conntrack } from "../../collectors/conntrack.ts";
import { lnstat } from "../../collectors/lnstat.ts";
import { encodeAttribute } from "../../collectors/netlink.ts";
import { networkRoute, parseRoute, toAddress } from "../../collectors/network-route.ts";
import { parseQueue, qdisc } from "../../collectors/qdisc.ts";
import { countStates, tcpstat } from "../../collectors/tcpstat.ts";
import { udpQueues } from "../../collectors/udp-queues.ts";
import { xfrm } from "../../collectors/xfrm.ts";
import { collectFrom } from "./fixture-host.ts";

const entries = `IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         00:00:5e:00:53:01     *        eth0
192.0.2.2        0x1         0x2         00:00:5e:00:53:02     *        eth0
192.0.2.3        0x1         0x0         00:00:00:00:00:00     *        veth1
`;

describe("arp", () => {
  test("entries per device from /proc/net/arp", async () => {
    const { series } = await collectFrom(arp, { "proc/net/arp": entries }, { netlink: false, device_exclude: "veth" });
    expect(series).toEqual(['node_arp_entries{device="eth0"} 2']);
  });

  test("the kernel's table by netlink has the devices of this machine's own file", async () => {
    const { lines } = await collectFrom(arp, {});
    const named = parseArp(await Bun.file("/proc/net/arp").text());
    for (const line of lines.filter((text) => !text.startsWith("#"))) {
      expect(named).toContain(/device="(.*)"/.exec(line)?.[1] ?? "");
    }
    expect(lines.length > 0).toBe(named.length > 0);
  });
});

describe("conntrack", () => {
  const root = "proc/sys/net/netfilter";
  const sizes = { [`${root}/nf_conntrack_count`]: "123\n", [`${root}/nf_conntrack_max`]: "65536\n" };

  test("events summed over CPUs, found by the header's names", async () => {
    const { series } = await collectFrom(conntrack, {
      ...sizes,
      "proc/net/stat/nf_conntrack":
        "entries  clashres found new invalid ignore drop\n0000007b 1 00000001 0 0000000a 0 2\n0000007b 1 00000002 0 00000010 0 3\n",
    });
    expect(series).toEqual([
      "node_nf_conntrack_entries 123",
      "node_nf_conntrack_entries_limit 65536",
      "node_nf_conntrack_stat_drop 5",
      "node_nf_conntrack_stat_found 3",
      "node_nf_conntrack_stat_ignore 0",
      "node_nf_conntrack_stat_invalid 26",
    ]);
  });

  test("a kernel without the events file still has the size; one without the module is absent", async () => {
    expect((await collectFrom(conntrack, sizes)).series).toHaveLength(2);
    expect((await collectFrom(conntrack, {})).state).toBe("absent");
  });
});

test("lnstat: every cache and CPU, hexadecimal", async () => {
  const page = await collectFrom(lnstat, {
    "proc/net/stat/arp_cache": "entries  allocs\n00000014  0000000a\n00000014  ffffffffff\n",
    "proc/net/stat/broken": "entries\nzz\n",
  });
  expect(page.series).toEqual([
    'node_lnstat_allocs_total{cpu="0",subsystem="arp_cache"} 10',
    'node_lnstat_allocs_total{cpu="1",subsystem="arp_cache"} 1.099511627775e+12',
    'node_lnstat_entries_total{cpu="0",subsystem="arp_cache"} 20',
    'node_lnstat_entries_total{cpu="1",subsystem="arp_cache"} 20',
  ]);
  expect(page.skipped).toEqual(["column 1 of net/stat/broken"]);
  expect(await collectFrom(lnstat, {})).toMatchObject({ state: "ok", series: [] });
});

test("xfrm: snake case of the kernel's names", async () => {
  const text = "XfrmInNoStates          \t3\nXfrmFwdHdrError x\nXfrmNovelty 1\n";
  expect(await collectFrom(xfrm, { "proc/net/xfrm_stat": text })).toMatchObject({
    series: ["node_xfrm_in_no_states_packets_total 3"],
    skipped: ["XfrmFwdHdrError in xfrm_stat"],
  });
  expect((await collectFrom(xfrm, {})).state).toBe("absent");
});

test("udp_queues: sums of both queues, absent without UDP", async () => {
  const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  const socket = (queues: string) => ` 123: 00000000:0044 00000000:0000 07 ${queues} 00:00000000 00000000     0\n`;
  const page = await collectFrom(udpQueues, {
    "proc/net/udp": header + socket("00000010:00000001") + socket("00000001:000000FF") + socket("none"),
  });
  expect(page.series).toEqual(['node_udp_queues{ip="v4",queue="rx"} 256', 'node_udp_queues{ip="v4",queue="tx"} 17']);
  expect(page.skipped).toEqual(["socket in net/udp"]);
  expect((await collectFrom(udpQueues, {})).state).toBe("absent");
});

describe("tcpstat", () => {
  const socket = (state: number, rx: number, tx: number) => {
    const payload = Buffer.alloc(72);
    payload[1] = state;
    payload.writeUInt32LE(rx, 56);
    payload.writeUInt32LE(tx, 60);
    return { payload };
  };

  test("states and queues", () => {
    expect(
      Object.fromEntries(countStates([socket(1, 5, 0), socket(10, 0, 128), socket(1, 1, 2), socket(99, 0, 0)])),
    ).toEqual({ rx_queued_bytes: 6, tx_queued_bytes: 130, established: 2, listen: 1, unknown: 1 });
  });

  test("sees a listening socket of this test", async () => {
    using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    expect(server.port).toBeGreaterThan(0);
    const { series } = await collectFrom(tcpstat, {});
    const listening = series.find((line) => line.includes('state="listen"'))?.split(" ")[1];
    expect(Number(listening)).toBeGreaterThanOrEqual(1);
  });
});

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
};

describe("network_route", () => {
  const names = new Map([[2, "eth0"], [3, "eth1"]]); // prettier-ignore
  const route = (prefixLength: number, protocol: number, ...attributes: Buffer[]) => {
    const header = Buffer.alloc(12);
    header[1] = prefixLength;
    header[5] = protocol;
    return Buffer.concat([header, ...attributes]);
  };
  const hop = (device: number, weight: number, gateway: string) => {
    const attribute = encodeAttribute(5, Buffer.from(gateway.split(".").map(Number)));
    return Buffer.concat([Buffer.from([8 + attribute.length, 0, 0, weight - 1]), u32(device), attribute]);
  };

  test.each([
    {
      name: "a default route",
      payload: route(0, 16, encodeAttribute(4, u32(2)), encodeAttribute(5, Buffer.from([192, 0, 2, 1]))),
      labels: [{ device: "eth0", src: "", dest: "default", gw: "192.0.2.1", priority: "0", proto: "dhcp", weight: "" }],
    },
    {
      name: "a source, a priority, an unknown protocol and device",
      payload: route(
        24,
        99,
        encodeAttribute(1, Buffer.from([10, 0, 0, 0])),
        encodeAttribute(7, Buffer.from([10, 0, 0, 5])),
        encodeAttribute(6, u32(1024)),
        encodeAttribute(4, u32(9)),
      ),
      labels: [
        { device: "", src: "10.0.0.5", dest: "10.0.0.0/24", gw: "", priority: "1024", proto: "unknown", weight: "" },
      ],
    },
    {
      name: "two next hops",
      payload: route(0, 186, encodeAttribute(9, Buffer.concat([hop(2, 3, "192.0.2.1"), hop(3, 5, "192.0.2.2")]))),
      labels: [
        { device: "eth0", src: "", dest: "default", gw: "192.0.2.1", priority: "0", proto: "bgp", weight: "3" },
        { device: "eth1", src: "", dest: "default", gw: "192.0.2.2", priority: "0", proto: "bgp", weight: "5" },
      ],
    },
  ])("$name", ({ payload, labels }) => expect(parseRoute(payload, names)).toEqual([...labels]));

  test.each([
    ["c0000201", "192.0.2.1"],
    ["20010db8000000000000000000000001", "2001:db8::1"],
    ["fe800000000000000000000000000000", "fe80::"],
    ["", ""],
  ])("address %s", (hex, text) => expect(toAddress(Buffer.from(hex, "hex"))).toBe(text));

  test("as many routes as there are series", async () => {
    const { series } = await collectFrom(networkRoute, {});
    const counted = series
      .filter((line) => line.startsWith("node_network_routes"))
      .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    expect(series.filter((line) => line.startsWith("node_network_route_info")).length).toBeLessThanOrEqual(counted);
  });
});

describe("qdisc", () => {
  const words = (...values: number[]): Buffer => Buffer.concat(values.map(u32));
  const queue = (...attributes: Buffer[]) =>
    Buffer.concat([Buffer.alloc(20), encodeAttribute(1, Buffer.from("mq\0")), ...attributes]);

  test("nested statistics, 64-bit packets once they wrapped", () => {
    const nested = [encodeAttribute(1, words(7, 1, 42)), encodeAttribute(3, words(1, 2, 3, 4, 5))];
    expect(parseQueue(queue(encodeAttribute(7, Buffer.concat(nested))))).toEqual({
      ...{ Kind: "mq", Bytes: 2 ** 32 + 7, Packets: 42 },
      ...{ Qlen: 1, Backlog: 2, Drops: 3, Requeues: 4, Overlimits: 5 },
    });
    const wrapped = Buffer.concat([...nested, encodeAttribute(8, words(42, 1))]);
    expect(parseQueue(queue(encodeAttribute(7, wrapped))).Packets).toBe(2 ** 32 + 42);
  });

  test("the flat statistics of an old kernel, and none", () => {
    const flat = words(7, 0, 42, 3, 5, 0, 0, 1, 2);
    expect(parseQueue(queue(encodeAttribute(3, flat)))).toEqual({
      ...{ Kind: "mq", Bytes: 7, Packets: 42, Drops: 3, Overlimits: 5, Qlen: 1, Backlog: 2 },
    });
    expect(parseQueue(queue())).toEqual({ Kind: "mq" });
  });

  test("this machine's loopback device", async () => {
    const { series } = await collectFrom(qdisc, {}, { device_include: "^lo$" });
    expect(series.some((line) => line.startsWith('node_qdisc_bytes_total{device="lo",kind="'))).toBe(true);
  });
});
