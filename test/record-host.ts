/**
 * Records the files that collectors read on this machine as a fixture host, with hardware addresses masked.
 *
 *   bun test/record-host.ts host-basic
 *
 * Look through the result before committing it. Existing files stay unless they are recorded again.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const patterns = [
  "proc/{stat,meminfo,vmstat,loadavg,diskstats,cpuinfo,interrupts,softirqs,buddyinfo,zoneinfo,slabinfo}",
  "proc/{cgroups,schedstat,mdstat}",
  "proc/pressure/*",
  "proc/net/{netstat,snmp,snmp6,sockstat,sockstat6,dev,arp,softnet_stat,udp,udp6,xfrm_stat,ip_vs*}",
  "proc/net/{stat,rpc,bonding}/*",
  "proc/sys/fs/file-nr",
  "proc/sys/net/netfilter/nf_conntrack_{count,max}",
  "proc/sys/kernel/{threads-max,pid_max,hung_task_detect_count}",
  "proc/sys/kernel/random/{entropy_avail,poolsize}",
  "proc/spl/kstat/zfs/*",
  "sys/class/net/*/*",
  "sys/block/*/queue/rotational",
  "sys/devices/system/cpu/{isolated,online,offline}",
  "sys/devices/system/cpu/cpu*/online",
  "sys/devices/system/cpu/cpu*/{cpufreq,topology,thermal_throttle}/*",
  "sys/devices/system/cpu/vulnerabilities/*",
  "sys/devices/system/{clocksource,node,edac/mc}/*/*",
  "sys/devices/virtual/dmi/id/*",
  "sys/class/dmi/id/*",
  "sys/class/{thermal,power_supply,watchdog,powercap,hwmon,nvme}/*/*",
  "sys/kernel/mm/ksm/*",
  "run/udev/data/b*",
  "etc/os-release",
];
// Serial numbers and asset tags say which machine this is.
const skipped = /(serial|uuid|asset_tag|uevent|modalias)$/;

const name = process.argv[2];
if (name === undefined || !/^[a-z0-9-]+$/.test(name)) {
  console.error("usage: bun test/record-host.ts NAME");
  process.exit(2);
}
const target = join(import.meta.dir, "fixtures", name);
let count = 0;
for (const pattern of patterns) {
  for (const path of new Bun.Glob(pattern).scanSync({ cwd: "/", dot: true, followSymlinks: true, onlyFiles: false })) {
    if (skipped.test(path) || !statSync(`/${path}`, { throwIfNoEntry: false })?.isFile()) continue;
    const text = read(`/${path}`);
    if (text === undefined) continue;
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), mask(text));
    count++;
  }
}
console.log(`recorded ${count} files under ${target}`);

// Many attributes exist and cannot be read; on the fixture host they are not there, which reads the same.
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    console.log(`left out: ${String(error)}`);
    return undefined;
  }
}

function mask(text: string): string {
  return text.replace(/\b(?!00:00:00|ff:ff:ff)[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/g, (address) => {
    const last = Bun.hash.crc32(address) & 0xff;
    return `00:00:5e:00:53:${last.toString(16).padStart(2, "0")}`;
  });
}
