import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { readTextIfPresent } from "./read.ts";

/** In the order of the columns of /proc/net/ip_vs_stats, all hexadecimal. */
const totals = [
  counter("node_ipvs_connections_total", "The total number of connections made."),
  counter("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
  counter("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
  counter("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
  counter("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
] as const;
const active = gauge(
  "node_ipvs_backend_connections_active",
  "The current active connections by local and remote address.",
);
const inactive = gauge(
  "node_ipvs_backend_connections_inactive",
  "The current inactive connections by local and remote address.",
);
const weight = gauge("node_ipvs_backend_weight", "The current backend weight by local and remote address.");

const backendLabels = ["local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"] as const;
type BackendLabel = (typeof backendLabels)[number];

export const ipvs = defineCollector({
  name: "ipvs",
  description: "IP virtual server: connections, and the state of each backend.",
  enabledByDefault: true,
  options: Type.Object(
    {
      backend_labels: Type.String({
        default: backendLabels.join(","),
        flag: "collector.ipvs.backend-labels",
        description: "Labels of the backend series, separated by commas; backends that share all of them are summed.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ backend_labels }) => {
    const labels = parseBackendLabels(backend_labels);
    return {
      collect: async (host): Promise<MetricFamily[]> => {
        const stats = readTextIfPresent(`${host.procPath}/net/ip_vs_stats`);
        if (stats === undefined) throw new NoDataError("the IPVS module is not loaded");
        const families = createFamilySet();
        addTotals(host, families, stats);
        addBackends(host, families, labels);
        return families.list();
      },
    };
  },
});

export function parseBackendLabels(text: string): BackendLabel[] {
  const wanted = new Set(text.split(",").filter((label) => label !== ""));
  const unknown = [...wanted].filter((label) => !backendLabels.some((known) => known === label));
  if (unknown.length > 0) throw new Error(`--collector.ipvs.backend-labels: unknown labels ${unknown.join(", ")}`);
  return backendLabels.filter((label) => wanted.has(label));
}

function addTotals(host: Host, families: FamilySet, text: string): void {
  try {
    const values = parseIpvsStats(text);
    totals.forEach((family, index) => families.add(family, {}, values[index]));
  } catch (error) {
    host.skipped("ip_vs_stats", error);
  }
}

/** Two lines of headings, then the totals. */
export function parseIpvsStats(text: string): number[] {
  const values = (text.split("\n")[2] ?? "").trim().split(/\s+/);
  if (values.length !== totals.length || !values.every((value) => /^[0-9A-Fa-f]+$/.test(value))) {
    throw new Error("unexpected content in ip_vs_stats");
  }
  return values.map((value) => Number(`0x${value}`));
}

function addBackends(host: Host, families: FamilySet, labels: readonly BackendLabel[]): void {
  const text = readTextIfPresent(`${host.procPath}/net/ip_vs`) ?? "";
  const sums = new Map<string, { labels: Record<string, string>; counts: [number, number, number] }>();
  for (const backend of parseIpvsBackends(text, (line, error) => host.skipped(`ip_vs line ${line}`, error))) {
    const kept = Object.fromEntries(labels.map((label) => [label, backend.labels[label]]));
    const key = JSON.stringify(kept);
    const { counts } = sums.get(key) ?? { counts: [0, 0, 0] };
    const [a, b, c] = backend.counts;
    sums.set(key, { labels: kept, counts: [counts[0] + a, counts[1] + b, counts[2] + c] });
  }
  for (const { labels: kept, counts } of sums.values()) {
    families.add(weight, kept, counts[0]);
    families.add(active, kept, counts[1]);
    families.add(inactive, kept, counts[2]);
  }
}

export interface IpvsBackend {
  readonly labels: Readonly<Record<BackendLabel, string>>;
  /** Weight, active and inactive connections. */
  readonly counts: readonly [number, number, number];
}

/** A service "TCP  C0A80016:0CEA wlc", then its backends "  -> C0A85216:0CEA  Tunnel  100  248  2". */
export function parseIpvsBackends(text: string, reject: (line: string, error: unknown) => void): IpvsBackend[] {
  const backends: IpvsBackend[] = [];
  let service: Pick<IpvsBackend["labels"], "local_address" | "local_port" | "proto" | "local_mark"> | undefined;
  // The heading lines look like a service and a backend.
  for (const line of text.split("\n").slice(3)) {
    const [first = "", address = "", , ...numbers] = line.trim().split(/\s+/);
    try {
      if (first === "FWM") {
        service = { proto: first, local_mark: address, local_address: "", local_port: "0" };
      } else if (first === "->") {
        const [weight = NaN, active = NaN, inactive = NaN] = numbers.map(Number);
        if (Number.isNaN(weight + active + inactive)) throw new Error(`unexpected line in ip_vs: ${line}`);
        if (service === undefined) continue;
        const remote = parseEndpoint(address);
        const labels = { ...service, remote_address: remote.address, remote_port: remote.port };
        backends.push({ labels, counts: [weight, active, inactive] });
      } else if (first !== "") {
        service = undefined;
        const local = parseEndpoint(address);
        service = { proto: first, local_mark: "", local_address: local.address, local_port: local.port };
      }
    } catch (error) {
      reject(`${first} ${address}`, error);
    }
  }
  return backends;
}

/** "C0A80016:0CEA" or "[2620:0000:…:0080]:0050". */
function parseEndpoint(text: string): { address: string; port: string } {
  const [, v4, v6, port] = /^(?:([0-9A-F]{8})|\[([0-9a-fA-F:]{39})\]):([0-9A-F]{4})$/.exec(text) ?? [];
  if (port === undefined) throw new Error(`not an address and port: ${text}`);
  const address =
    v4 === undefined
      ? new URL(`http://[${v6}]`).hostname.slice(1, -1)
      : (v4.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join(".");
  return { address, port: String(Number.parseInt(port, 16)) };
}
