import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { parseRpcLines, type RpcLines, toProcedures } from "./nfs-rpc.ts";
import { readTextIfPresent } from "./read.ts";

/** NFS client counters: /proc/net/rpc/nfs, there once the sunrpc module is loaded. */
export const nfs = defineCollector({
  name: "nfs",
  description: "NFS client statistics from /proc/net/rpc/nfs.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const text = readTextIfPresent(`${host.procPath}/net/rpc/nfs`);
      if (text === undefined) throw new NoDataError("the kernel's NFS client is not loaded");
      return toFamilies(parseRpcLines(text, { net: 4, rpc: 3, proc2: 19, proc3: 23, proc4: 1 }, host));
    },
  }),
});

// The kernel's order (nfs_procedures, nfs3_procedures, nfs4_procedures); the names are node_exporter's.
const procedures = {
  "2":
    "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir " +
    "ReadDir FsStat",
  "3":
    "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link " +
    "ReadDir ReadDirPlus FsStat FsInfo PathConf Commit",
  "4":
    "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID " +
    "SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create Pathconf " +
    "StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo FsidPresent " +
    "ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo LayoutGet " +
    "LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession " +
    "DestroyClientID Seek Allocate DeAllocate LayoutStats Clone",
};

function toFamilies(lines: RpcLines): MetricFamily[] {
  const [, udp = 0, tcp = 0, connections = 0] = lines.get("net") ?? [];
  const [calls = 0, retransmissions = 0, refreshes = 0] = lines.get("rpc") ?? [];
  const counter = (name: string, help: string, samples: MetricFamily["samples"]): MetricFamily => ({
    name: `node_nfs_${name}`,
    help,
    type: "counter",
    samples,
  });
  return [
    counter("packets_total", "Total NFSd network packets (sent+received) by protocol type.", [
      { labels: { protocol: "udp" }, value: udp },
      { labels: { protocol: "tcp" }, value: tcp },
    ]),
    counter("connections_total", "Total number of NFSd TCP connections.", [{ labels: {}, value: connections }]),
    counter("rpcs_total", "Total number of RPCs performed.", [{ labels: {}, value: calls }]),
    counter("rpc_retransmissions_total", "Number of RPC transmissions performed.", [
      { labels: {}, value: retransmissions },
    ]),
    counter("rpc_authentication_refreshes_total", "Number of RPC authentication refreshes performed.", [
      { labels: {}, value: refreshes },
    ]),
    counter(
      "requests_total",
      "Number of NFS procedures invoked.",
      Object.entries(procedures).flatMap(([proto, names]) =>
        toProcedures(lines.get(`proc${proto}`), names.split(" ")).map(([method, value]) => ({
          labels: { proto, method },
          value,
        })),
      ),
    ),
  ];
}
