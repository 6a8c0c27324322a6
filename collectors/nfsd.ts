import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily, type MetricType, NoDataError } from "./collector.ts";
import { parseRpcLines, type RpcLines, toProcedures } from "./nfs-rpc.ts";
import { readTextIfPresent } from "./read.ts";

/** NFS server counters: /proc/net/rpc/nfsd, there while the nfsd module is loaded. */
export const nfsd = defineCollector({
  name: "nfsd",
  description: "NFS kernel server statistics from /proc/net/rpc/nfsd.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const text = readTextIfPresent(`${host.procPath}/net/rpc/nfsd`);
      if (text === undefined) throw new NoDataError("the kernel's NFS server is not loaded");
      return toFamilies(parseRpcLines(text, lineLengths, host));
    },
  }),
});

const lineLengths = {
  rc: 3,
  fh: 5,
  io: 2,
  th: 2,
  ra: 12,
  net: 4,
  rpc: 5,
  proc2: 19,
  proc3: 23,
  proc4: 3,
  proc4ops: 40,
  wdeleg_getattr: 1,
};

// In the kernel's order; a dash stands for a number that node_exporter does not publish.
const procedures: Readonly<Record<string, readonly string[]>> = {
  "2": (
    "-,GetAttr,SetAttr,Root,Lookup,ReadLink,Read,WrCache,Write,Create,Remove,Rename,Link,SymLink,MkDir,RmDir," +
    "ReadDir,FsStat"
  ).split(","),
  "3": (
    "-,GetAttr,SetAttr,Lookup,Access,ReadLink,Read,Write,Create,MkDir,SymLink,MkNod,Remove,RmDir,Rename,Link," +
    "ReadDir,ReadDirPlus,FsStat,FsInfo,PathConf,Commit"
  ).split(","),
  "4": (
    "-,-,-,Access,Close,Commit,Create,DelegPurge,DelegReturn,GetAttr,GetFH,Link,Lock,Lockt,Locku,Lookup,LookupRoot," +
    "Nverify,Open,OpenAttr,OpenConfirm,OpenDgrd,PutFH,-,-,Read,ReadDir,ReadLink,Remove,Rename,Renew,RestoreFH," +
    "SaveFH,SecInfo,SetAttr,SetClientID,SetClientIDConfirm,Verify,Write,RelLockOwner"
  ).split(","),
};

type Row = readonly [name: string, help: string, type: MetricType, values: readonly (readonly [Labels, number])[]];

function toFamilies(lines: RpcLines): MetricFamily[] {
  const at = (line: string, index: number): number => lines.get(line)?.[index] ?? 0;
  const one = (line: string, index: number): Row[3] => [[{}, at(line, index)]];
  const rows: readonly Row[] = [
    [
      "reply_cache_hits_total",
      "Total number of NFSd Reply Cache hits (client lost server response).",
      "counter",
      one("rc", 0),
    ],
    [
      "reply_cache_misses_total",
      "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
      "counter",
      one("rc", 1),
    ],
    [
      "reply_cache_nocache_total",
      "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
      "counter",
      one("rc", 2),
    ],
    ["file_handles_stale_total", "Total number of NFSd stale file handles", "counter", one("fh", 0)],
    ["disk_bytes_read_total", "Total NFSd bytes read.", "counter", one("io", 0)],
    ["disk_bytes_written_total", "Total NFSd bytes written.", "counter", one("io", 1)],
    ["server_threads", "Total number of NFSd kernel threads that are running.", "gauge", one("th", 0)],
    ["read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks.", "gauge", one("ra", 0)],
    ["read_ahead_cache_not_found_total", "Total number of NFSd read ahead cache not found.", "counter", one("ra", 11)],
    [
      "packets_total",
      "Total NFSd network packets (sent+received) by protocol type.",
      "counter",
      [
        [{ proto: "udp" }, at("net", 1)],
        [{ proto: "tcp" }, at("net", 2)],
      ],
    ],
    ["connections_total", "Total number of NFSd TCP connections.", "counter", one("net", 3)],
    [
      "rpc_errors_total",
      "Total number of NFSd RPC errors by error type.",
      "counter",
      [
        [{ error: "fmt" }, at("rpc", 2)],
        [{ error: "auth" }, at("rpc", 3)],
        [{ error: "cInt" }, at("rpc", 4)],
      ],
    ],
    ["server_rpcs_total", "Total number of NFSd RPCs.", "counter", one("rpc", 0)],
    ["requests_total", "Total number NFSd Requests by method and protocol.", "counter", toRequests(lines)],
  ];
  return rows.map(([name, help, type, values]) => ({
    name: `node_nfsd_${name}`,
    help,
    type,
    samples: values.map(([labels, value]) => ({ labels, value })),
  }));
}

function toRequests(lines: RpcLines): Row[3] {
  const requests = Object.entries(procedures).flatMap(([proto, names]) =>
    toProcedures(lines.get(proto === "4" ? "proc4ops" : `proc${proto}`), names)
      .filter(([method]) => method !== "-")
      .map(([method, value]) => [{ proto, method }, value] as const),
  );
  return [...requests, [{ proto: "4", method: "WdelegGetattr" }, lines.get("wdeleg_getattr")?.[0] ?? 0]];
}
