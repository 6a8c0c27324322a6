import { describe, expect, test } from "bun:test";
import { netstat } from "../../collectors/netstat.ts";
import { vmstat } from "../../collectors/vmstat.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

describe("vmstat", () => {
  const files = { "proc/vmstat": "nr_free_pages 1\npgpgin 2\npgfault x\npswpout 18446744073709551615\n" };
  test("the wanted fields; a bad number costs its own", async () => {
    const page = await collectFrom(vmstat, files);
    expect(page.lines).toContain("# TYPE node_vmstat_pgpgin untyped");
    expect(page.series).toEqual(["node_vmstat_pgpgin 2", "node_vmstat_pswpout 1.8446744073709552e+19"]);
    expect(page.skipped).toEqual(["pgfault in vmstat"]);
  });

  test("another pattern", async () => {
    expect((await collectFrom(vmstat, files, { fields: "^nr_" })).series).toEqual(["node_vmstat_nr_free_pages 1"]);
  });
});

describe("netstat", () => {
  const files = {
    "proc/net/netstat": "TcpExt: SyncookiesSent Other TCPTimeouts\nTcpExt: 1 2 115\n",
    "proc/net/snmp": "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn CurrEstab\nTcp: -1 x\n",
    "proc/net/snmp6": "Ip6InOctets                     \t460\nIcmp6InMsgs 5\nUdp6InDatagrams\t0\nnothing 1\n",
  };
  test("names from the header lines", async () => {
    const page = await collectFrom(netstat, files);
    expect(page.lines).toContain("# HELP node_netstat_TcpExt_TCPTimeouts Statistic TcpExtTCPTimeouts.");
    expect(page.series).toEqual([
      "node_netstat_Icmp6_InMsgs 5",
      "node_netstat_Ip6_InOctets 460",
      "node_netstat_Ip_Forwarding 1",
      "node_netstat_TcpExt_SyncookiesSent 1",
      "node_netstat_TcpExt_TCPTimeouts 115",
      "node_netstat_Udp6_InDatagrams 0",
    ]);
    expect(page.skipped).toEqual(["node_netstat_Tcp_CurrEstab"]);
  });

  test("one unreadable file costs its own series, both the collector", async () => {
    const page = await collectFrom(netstat, { ...files, "proc/net/netstat": unreadable });
    expect(page.series).toHaveLength(4);
    expect(page.skipped).toEqual(["proc/net/netstat", "node_netstat_Tcp_CurrEstab"]);
    await expect(collectFrom(netstat, {})).rejects.toThrow("no net/netstat");
  });

  test("without IPv6, and a header that grew a column", async () => {
    const { "proc/net/snmp6": _, ...ipv4 } = files;
    const wider = { ...ipv4, "proc/net/netstat": "TcpExt: New TCPTimeouts\nTcpExt: 9 3\n" };
    const { series } = await collectFrom(netstat, wider);
    expect(series).toEqual(["node_netstat_Ip_Forwarding 1", "node_netstat_TcpExt_TCPTimeouts 3"]);
  });
});
