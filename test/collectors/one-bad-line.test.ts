import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { collectorDefinitions } from "../../collectors/registry.ts";
import { createFixture, type Tree } from "./fixture-host.ts";

const recorded = (path: string): string => readFileSync(join(import.meta.dir, "../fixtures/host-basic", path), "utf8");

interface Case {
  readonly collector: string;
  /** Of the recorded host, unless `tree` has it. */
  readonly file: string;
  /** Series that a line may cost: those that it has the numbers of. */
  readonly atMost: number;
  /** Lines at the top that say what the columns are; without them no number has a meaning. */
  readonly headings?: number;
  readonly options?: Record<string, unknown>;
  readonly tree?: Tree;
}

const mountinfo = [
  "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
  "2 1 0:40 / /mnt/a rw - nfs4 nas:/a rw,addr=10.0.0.1",
  "3 1 0:41 / /mnt/b rw - nfs4 nas:/b rw,addr=10.0.0.2",
  "",
].join("\n");
const nfsEntry = (name: string): string[] => [
  `device nas:/${name} mounted on /mnt/${name} with fstype nfs4 statvers=1.1`,
  "\tage:\t100",
  `\tevents:\t${Array.from({ length: 27 }, (_, index) => index).join(" ")}`,
  "\tbytes:\t1 2 3 4 5 6 7 8",
  "\txprt:\ttcp 0 0 1 0 11 73 73 0 73 0 2 60 73",
  "\tper-op statistics",
  "\t        NULL: 1 2 3 4 5 6 7 8",
  "",
];
const mountstats = ["device /dev/sda1 mounted on / with fstype ext4", ...nfsEntry("a"), ...nfsEntry("b")].join("\n");
const mounts = { "proc/1/mountinfo": mountinfo, "proc/1/mountstats": mountstats };

const mdstat = `Personalities : [raid1]
md0 : active raid1 sdb1[1] sda1[0]
      1048576 blocks [2/2] [UU]

md1 : active raid1 sdd1[1] sdc1[0]
      2097152 blocks [2/2] [UU]

unused devices: <none>
`;
const drbdDevice = (
  number: number,
): string => ` ${number}: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
    ns:1 nr:2 dw:3 dr:4 al:5 bm:6 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0
`;
const ipvsTable = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000001:0050 rr
  -> 0A000002:0050      Route   1      5          6
TCP  0A000003:0050 rr
  -> 0A000004:0050      Route   1      7          8
`;
const arp = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.1         0x1         0x2         02:00:00:00:00:01     *        eth0
10.0.0.2         0x1         0x2         02:00:00:00:00:02     *        eth1
`;
const swaps = `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/dm-2                               partition\t131068\t\t176\t\t-2
/dev/dm-3                               partition\t131068\t\t10\t\t-3
`;

/** What a collector wants to see beside the file. */
const companions: Readonly<Record<string, Tree>> = {
  ipvs: { "proc/net/ip_vs_stats": "totals\nof what\n1 2 3 4 5\n" },
  netstat: { "proc/net/netstat": recorded("proc/net/netstat"), "proc/net/snmp": recorded("proc/net/snmp") },
  conntrack: { "proc/sys/net/netfilter/nf_conntrack_count": "1\n", "proc/sys/net/netfilter/nf_conntrack_max": "2\n" },
};

const cases: readonly Case[] = [
  {
    collector: "arp",
    file: "proc/net/arp",
    headings: 1,
    atMost: 1,
    options: { netlink: false },
    tree: { "proc/net/arp": arp },
  },
  { collector: "buddyinfo", file: "proc/buddyinfo", atMost: 11 },
  { collector: "cgroups", file: "proc/cgroups", headings: 1, atMost: 2 },
  { collector: "conntrack", file: "proc/net/stat/nf_conntrack", headings: 1, atMost: 8 },
  { collector: "cpu", file: "proc/stat", atMost: 10 },
  { collector: "diskstats", file: "proc/diskstats", atMost: 19 },
  { collector: "drbd", file: "proc/drbd", atMost: 17, tree: { "proc/drbd": drbdDevice(0) + drbdDevice(1) } },
  { collector: "interrupts", file: "proc/interrupts", headings: 1, atMost: 4 },
  { collector: "ipvs", file: "proc/net/ip_vs", headings: 3, atMost: 3, tree: { "proc/net/ip_vs": ipvsTable } },
  { collector: "lnstat", file: "proc/net/stat/arp_cache", headings: 1, atMost: 13 },
  { collector: "mdadm", file: "proc/mdstat", atMost: 13, tree: { "proc/mdstat": mdstat } },
  { collector: "meminfo", file: "proc/meminfo", atMost: 1 },
  { collector: "mountstats", file: "proc/1/mountinfo", atMost: 54, tree: mounts },
  { collector: "mountstats", file: "proc/1/mountstats", atMost: 54, tree: mounts },
  { collector: "netdev", file: "proc/net/dev", headings: 2, atMost: 16, options: { netlink: false } },
  { collector: "netstat", file: "proc/net/netstat", atMost: 40 },
  { collector: "netstat", file: "proc/net/snmp6", atMost: 1 },
  { collector: "schedstat", file: "proc/schedstat", atMost: 3 },
  { collector: "slabinfo", file: "proc/slabinfo", headings: 2, atMost: 5 },
  { collector: "sockstat", file: "proc/net/sockstat", atMost: 6 },
  { collector: "softirqs", file: "proc/softirqs", headings: 1, atMost: 4 },
  { collector: "softnet", file: "proc/net/softnet_stat", atMost: 8 },
  { collector: "stat", file: "proc/stat", atMost: 1 },
  { collector: "swap", file: "proc/swaps", headings: 1, atMost: 3, tree: { "proc/swaps": swaps } },
  { collector: "vmstat", file: "proc/vmstat", atMost: 1 },
  { collector: "xfrm", file: "proc/net/xfrm_stat", atMost: 1 },
  { collector: "zoneinfo", file: "proc/zoneinfo", atMost: 60 },
];

const corruptions = {
  "another text": () => "garbage",
  "letters for digits": (line: string) => line.replace(/\d/g, "z"),
  "half of it": (line: string) => line.slice(0, line.length / 2),
};

test.each(cases.map((entry) => [entry.collector, entry.file, entry] as const))(
  "%s: a bad line of %s costs its own series, and gives no other one its numbers",
  async (name, file, { atMost, headings = 0, options = {}, tree = {} }) => {
    const definition = collectorDefinitions.find((candidate) => candidate.name === name);
    if (definition === undefined) throw new Error(`no collector ${name}`);
    const whole = { ...companions[name], ...tree };
    const lines = String(whole[file] ?? recorded(file)).split("\n");
    await using fixture = await createFixture({ ...whole, [file]: lines.join("\n") });
    const read = async (): Promise<string[]> => {
      const collector = definition.create(Value.Default(definition.options, { ...options }) as never);
      return (await fixture.collect(collector)).series;
    };
    const before = await read();
    expect(before.length).toBeGreaterThan(1);
    const findings: string[] = [];
    for (const [index, line] of lines.entries()) {
      if (index < headings || line === "") continue;
      for (const [how, corrupt] of Object.entries(corruptions)) {
        await fixture.put({ [file]: lines.with(index, corrupt(line)).join("\n") });
        const after = new Set(await read());
        const lost = before.filter((series) => !after.has(series));
        const wrong = how === "another text" ? [...after].filter((series) => !before.includes(series)) : [];
        if (wrong.length > 0) findings.push(`line ${index + 1}, ${how}: ${wrong.length} wrong, such as ${wrong[0]}`);
        if (lost.length > atMost) findings.push(`line ${index + 1}, ${how}: ${lost.length} lost, such as ${lost[0]}`);
      }
    }
    expect(findings).toEqual([]);
  },
);
