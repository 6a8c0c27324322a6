import { Type as t } from "@sinclair/typebox";
import type { Flag } from "./definitions.ts";

/** Flags that still stand in units and Helm values, by the flag that took their place. */
const renamed: Readonly<Record<string, string>> = {
  "collector.systemd.unit-blacklist": "collector.systemd.unit-exclude",
  "collector.systemd.unit-whitelist": "collector.systemd.unit-include",
};

/** Flags of node_exporter 1.12 that have nothing to act on here. */
const withoutEffect: readonly (readonly [name: string, kind: Flag["kind"], repeatable: boolean])[] = [
  ["runtime.gomaxprocs", "integer", false],
  ["collector.perf.cpus", "string", false],
  ["collector.perf.tracepoint", "string", true],
  ["collector.perf.disable-hardware-profilers", "boolean", false],
  ["collector.perf.hardware-profilers", "string", true],
  ["collector.perf.disable-software-profilers", "boolean", false],
  ["collector.perf.software-profilers", "string", true],
  ["collector.perf.disable-cache-profilers", "boolean", false],
  ["collector.perf.cache-profilers", "string", true],
  ["collector.runit.servicedir", "string", false],
  ["collector.supervisord.url", "string", false],
];

/** Every collector that node_exporter 1.12 has on Linux, so that a unit naming one that is not here still starts. */
const upstreamCollectors =
  "arp bcache bcachefs bonding boottime btrfs buddyinfo cgroups conntrack cpu cpu_vulnerabilities cpufreq diskstats " +
  "dmi dmmultipath drbd drm edac entropy ethtool fibrechannel filefd filesystem hwmon infiniband interrupts ipvs " +
  "kernel_hung ksmd lnstat loadavg logind mdadm meminfo meminfo_numa mountstats netclass netdev netstat " +
  "network_route nfs nfsd ntp nvme nvmesubsystem os pcidevice perf powersupplyclass pressure processes qdisc rapl " +
  "runit schedstat selinux slabinfo sockstat softirqs softnet stat supervisord swap sysctl systemd tapestats tcpstat " +
  "textfile thermal_zone time timex udp_queues uname vmstat watchdog wifi xfrm xfs zfs zoneinfo";

/** What is accepted beside the schema's own flags, so that an existing command line keeps working. */
export function legacyFlags(flags: readonly Flag[]): Flag[] {
  const known = new Map(flags.map((flag) => [flag.name, flag]));
  const aliases = Object.entries(renamed).flatMap(([old, name]) => {
    const flag = known.get(name);
    return flag === undefined ? [] : [{ ...flag, name: old, hidden: true, deprecated: `deprecated, use --${name}` }];
  });
  const ignored = withoutEffect.map(([name, kind, repeatable]) => acceptedOnly(name, kind, repeatable));
  const missing = upstreamCollectors.split(" ").map((name) => acceptedOnly(`collector.${name}`, "boolean", false));
  return [...aliases, ...[...ignored, ...missing].filter(({ name }) => !known.has(name))];
}

function acceptedOnly(name: string, kind: Flag["kind"], repeatable: boolean): Flag {
  const description = "Accepted for node_exporter's sake and without effect.";
  const deprecated = "accepted, but it has no effect in this program";
  const schema = kind === "boolean" ? t.Boolean() : kind === "integer" ? t.Integer() : t.String();
  return { name, kind, repeatable, path: [], description, defaultText: undefined, hidden: true, deprecated, schema };
}
