import { expect, test } from "bun:test";
import { ipvs, parseBackendLabels } from "../../collectors/ipvs.ts";
import { collectFrom } from "./fixture-host.ts";

const heading =
  "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
const stats =
  "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes\n      10       1F        0             100A                0\n\n Conns/s\n";
const tree = {
  "proc/net/ip_vs_stats": stats,
  "proc/net/ip_vs":
    `${heading}TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA      Tunnel  100    248        2\n  -> C0A85217:0CEA      Tunnel  50     0          1\n` +
    "UDP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 rr\n  -> [2620:0000:0000:0000:0000:0000:0000:0080]:0050      Route   1      2          3\n" +
    "FWM  10001000 wlc\n  -> C0A83215:0000      Route   20     64         1\n",
};

test("totals are hexadecimal, backends carry their service", async () => {
  const { series, skipped } = await collectFrom(ipvs, tree);
  expect(series).toContain("node_ipvs_connections_total 16");
  expect(series).toContain("node_ipvs_incoming_bytes_total 4106");
  expect(series.filter((line) => line.startsWith("node_ipvs_backend_weight"))).toEqual([
    'node_ipvs_backend_weight{local_address="",local_mark="10001000",local_port="0",proto="FWM",remote_address="192.168.50.21",remote_port="0"} 20',
    'node_ipvs_backend_weight{local_address="192.168.0.22",local_mark="",local_port="3306",proto="TCP",remote_address="192.168.82.22",remote_port="3306"} 100',
    'node_ipvs_backend_weight{local_address="192.168.0.22",local_mark="",local_port="3306",proto="TCP",remote_address="192.168.82.23",remote_port="3306"} 50',
    'node_ipvs_backend_weight{local_address="2620::1",local_mark="",local_port="80",proto="UDP",remote_address="2620::80",remote_port="80"} 1',
  ]);
  expect(skipped).toEqual([]);
});

test("backends that share the chosen labels are summed", async () => {
  const { series } = await collectFrom(ipvs, tree, { backend_labels: "local_port,proto" });
  expect(series).toContain('node_ipvs_backend_connections_active{local_port="3306",proto="TCP"} 248');
  expect(series).toContain('node_ipvs_backend_connections_inactive{local_port="3306",proto="TCP"} 3');
});

test("a line that does not parse costs one backend, and its service's backends are not given to another", async () => {
  const { series, skipped } = await collectFrom(ipvs, {
    ...tree,
    "proc/net/ip_vs": `${heading}TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA Tunnel much 1 2\n  -> C0A85217:0CEA Tunnel 50 0 1\nTCP  nonsense wlc\n  -> C0A85218:0CEA Tunnel 1 1 1\n`,
  });
  expect(series.filter((line) => line.startsWith("node_ipvs_backend_weight"))).toHaveLength(1);
  expect(skipped).toEqual(["ip_vs line -> C0A85216:0CEA", "ip_vs line TCP nonsense"]);
});

test("absent without the module; totals that cannot be read are left out and reported", async () => {
  expect((await collectFrom(ipvs, {})).state).toBe("absent");
  const page = await collectFrom(ipvs, { "proc/net/ip_vs_stats": "1\n2\n3\n" });
  expect(page).toMatchObject({ state: "ok", series: [], skipped: ["ip_vs_stats"] });
});

test.each([
  ["proto,local_address", ["local_address", "proto"]],
  ["", []],
])("labels %j", (text, labels) => {
  expect<string[]>(parseBackendLabels(text)).toEqual(labels);
});

test("an unknown label names the flag", () => {
  expect(() => parseBackendLabels("proto,colour")).toThrow("--collector.ipvs.backend-labels: unknown labels colour");
});

test("SCTP services are services like the others", async () => {
  const table = `${heading}TCP  C0A80016:0CEA wlc\nSCTP C0A80016:0B59 rr\n  -> C0A85216:0B59 Masq 7 1 2\n`;
  const { series } = await collectFrom(ipvs, { ...tree, "proc/net/ip_vs": table });
  expect(series.filter((line) => line.startsWith("node_ipvs_backend_weight"))).toEqual([
    'node_ipvs_backend_weight{local_address="192.168.0.22",local_mark="",local_port="2905",proto="SCTP",remote_address="192.168.82.22",remote_port="2905"} 7',
  ]);
});
