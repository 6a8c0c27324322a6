/**
 * Writes /proc and /sys of a large accelerator node for benchmarks: 224 CPUs, 8 InfiniBand ports, 10 NVMe drives,
 * 20 network interfaces, 120 sensors, 8 NVIDIA GPUs bound to their driver. Files whose size does not depend on the machine are copied from this one.
 *
 *   sh scripts/bun.sh test/bench/make-large-tree.ts FOLDER
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const size = {
  cpus: 224,
  cpusPerPackage: 112,
  nodes: 8,
  infinibandPorts: 8,
  drives: 10,
  interfaces: 20,
  chips: 12,
  gpus: 8,
};
const sensorsPerChip = 10;

const target = process.argv[2];
if (target === undefined) {
  console.error("usage: make-large-tree.ts FOLDER");
  process.exit(2);
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

function write(path: string, content: string | number): void {
  const full = join(target ?? "", path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, typeof content === "number" ? `${content}\n` : content);
}

/** Attribute files of one sysfs folder. */
function writeAll(folder: string, attributes: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(attributes)) write(join(folder, name), `${value}\n`);
}

function link(path: string, destination: string): void {
  const full = join(target ?? "", path);
  mkdirSync(dirname(full), { recursive: true });
  symlinkSync(destination, full);
}

function copyUnscaledFiles(): void {
  const files = ["loadavg", "meminfo", "vmstat", "uptime", "version", "net/netstat", "net/snmp", "net/snmp6"];
  files.push(
    "net/sockstat",
    "net/sockstat6",
    "net/arp",
    "net/softnet_stat",
    "net/udp",
    "net/udp6",
    "pressure/cpu",
    "pressure/io",
    "pressure/memory",
  );
  files.push("sys/fs/file-nr", "sys/kernel/random/entropy_avail", "sys/kernel/random/poolsize", "sys/kernel/osrelease");
  for (const file of files)
    if (existsSync(`/proc/${file}`)) write(`proc/${file}`, readFileSync(`/proc/${file}`, "utf8"));
  const mounts = "/dev/nvme0n1p1 / ext4 rw,relatime 0 0\n";
  const mountinfo = "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n";
  for (const folder of ["proc/1", "proc/self"]) {
    write(`${folder}/mounts`, mounts);
    write(`${folder}/mountinfo`, mountinfo);
    write(`${folder}/stat`, readFileSync("/proc/1/stat", "utf8"));
    write(`${folder}/limits`, readFileSync("/proc/1/limits", "utf8"));
  }
}

function writeProcessors(): void {
  const line = (name: string, seed: number): string =>
    `${name} ${seed * 91_017 + 1} ${seed * 31} ${seed * 40_961} ${seed * 9_100_391} ${seed * 911} 0 ${seed * 307} 0 0 0\n`;
  const cpus = range(size.cpus)
    .map((cpu) => line(`cpu${cpu}`, cpu + 1))
    .join("");
  const interrupts = `intr 123456789${" 17".repeat(600)}\nctxt 987654321\nbtime 1763600000\nprocesses 4711\n`;
  const tail = "procs_running 3\nprocs_blocked 0\nsoftirq 900 1 2 3 4 5 6 7 8 9 10\n";
  write("proc/stat", line("cpu ", 225) + cpus + interrupts + tail);
  const header = range(size.cpus)
    .map((cpu) => `CPU${cpu}`.padStart(11))
    .join("");
  const kinds = ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
  const counts = (seed: number): string =>
    range(size.cpus)
      .map((cpu) => String(cpu * seed).padStart(11))
      .join("");
  write(
    "proc/softirqs",
    `${header}\n${kinds.map((kind, index) => `${kind.padStart(12)}:${counts(index)}\n`).join("")}`,
  );
  const schedule = range(size.cpus).map(
    (cpu) => `cpu${cpu} 0 0 0 0 0 0 ${cpu * 9_999_999} ${cpu * 88_888} ${cpu * 777}\n`,
  );
  write("proc/schedstat", `version 15\ntimestamp 4295\n${schedule.join("")}`);
  write("proc/cpuinfo", range(size.cpus).map(describeProcessor).join("\n"));
  for (const cpu of range(size.cpus)) writeProcessorFolder(cpu);
  for (const node of range(size.nodes)) {
    const memory = [`MemTotal: ${263_000_000 + node} kB`, "MemFree: 91000000 kB", "MemUsed: 172000000 kB"];
    write(`sys/devices/system/node/node${node}/meminfo`, memory.map((text) => `Node ${node} ${text}\n`).join(""));
    writeAll(`sys/devices/system/node/node${node}`, { numastat: "numa_hit 1\nnuma_miss 2\nnuma_foreign 3" });
  }
  writeAll("sys/devices/system/cpu", { online: `0-${size.cpus - 1}`, isolated: "", possible: `0-${size.cpus - 1}` });
}

function describeProcessor(cpu: number): string {
  const fields = {
    processor: cpu,
    vendor_id: "GenuineIntel",
    "cpu family": 6,
    model: 143,
    "model name": "Synthetic server processor",
    stepping: 8,
    microcode: "0x2b000603",
    "cpu MHz": (2000 + cpu).toFixed(3),
    "cache size": "107520 KB",
    "physical id": Math.floor(cpu / size.cpusPerPackage),
    siblings: size.cpusPerPackage,
    "core id": cpu % 56,
    "cpu cores": 56,
    flags: "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat aes avx avx2 avx512f",
    bugs: "spectre_v1 spectre_v2",
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}\t: ${value}\n`)
    .join("");
}

function writeProcessorFolder(cpu: number): void {
  const folder = `sys/devices/system/cpu/cpu${cpu}`;
  const package_ = Math.floor(cpu / size.cpusPerPackage);
  writeAll(`${folder}/topology`, { core_id: cpu % 56, physical_package_id: package_, thread_siblings_list: cpu });
  writeAll(`${folder}/thermal_throttle`, { core_throttle_count: cpu, package_throttle_count: package_ });
  writeAll(`${folder}/cpufreq`, {
    cpuinfo_min_freq: 800_000,
    cpuinfo_max_freq: 3_800_000,
    cpuinfo_cur_freq: 2_000_000 + cpu,
    scaling_min_freq: 800_000,
    scaling_max_freq: 3_800_000,
    scaling_cur_freq: 2_000_000 + cpu,
    scaling_driver: "intel_pstate",
    scaling_setspeed: "<unsupported>",
    related_cpus: cpu,
    scaling_governor: "performance",
    scaling_available_governors: "performance powersave",
  });
  writeAll(folder, { online: 1 });
}

function writeDrives(): void {
  const lines = range(size.drives).flatMap((drive) => {
    const counters = `${drive * 1009} 3 ${drive * 20_011} 400 ${drive * 3001} 7 ${drive * 80_021} 900 0 500 1300 0 0 0 0 8 9`;
    const name = `nvme${drive}n1`;
    writeAll(`sys/class/nvme/nvme${drive}`, {
      address: `0000:${(0x10 + drive).toString(16)}:00.0`,
      firmware_rev: "GDC5302Q",
      model: "SYNTHETIC 3.84TB",
      serial: `S${drive}000`,
      state: "live",
      cntlid: drive,
    });
    writeAll(`sys/block/${name}/queue`, { rotational: 0, logical_block_size: 512 });
    writeAll(`sys/block/${name}`, { size: 7_501_476_528 });
    return [` 259 ${drive * 2} ${name} ${counters}`, ` 259 ${drive * 2 + 1} ${name}p1 ${counters}`];
  });
  write("proc/diskstats", `${lines.join("\n")}\n`);
}

const interfaceAttributes: Readonly<Record<string, string | number>> = {
  addr_assign_type: 0,
  address: "02:00:00:00:00:01",
  addr_len: 6,
  broadcast: "ff:ff:ff:ff:ff:ff",
  carrier: 1,
  carrier_changes: 2,
  carrier_up_count: 1,
  carrier_down_count: 1,
  dev_id: "0x0",
  dormant: 0,
  duplex: "full",
  flags: "0x1303",
  ifalias: "",
  link_mode: 0,
  mtu: 9000,
  name_assign_type: 2,
  netdev_group: 0,
  operstate: "up",
  proto_down: 0,
  speed: 400_000,
  tx_queue_len: 1000,
  type: 1,
};

function writeInterfaces(): void {
  const rows = range(size.interfaces).map((index) => {
    const name = `eth${index}`;
    writeAll(`sys/class/net/${name}`, { ...interfaceAttributes, ifindex: index + 2, iflink: index + 2 });
    const counters = range(16).map((column) => (column % 8 < 2 ? (index + 1) * 7_919_003 : 0));
    return `${name.padStart(6)}: ${counters.join(" ")}\n`;
  });
  const titles = "bytes packets errs drop fifo frame compressed multicast";
  write(
    "proc/net/dev",
    `Inter-|   Receive | Transmit\n face |${titles}|bytes packets errs drop fifo colls carrier compressed\n${rows.join("")}`,
  );
}

const portCounters = [
  ...["excessive_buffer_overrun_errors", "link_downed", "link_error_recovery", "local_link_integrity_errors"],
  ...["multicast_rcv_packets", "multicast_xmit_packets", "port_rcv_constraint_errors", "port_rcv_data"],
  ...["port_rcv_errors", "port_rcv_packets", "port_rcv_remote_physical_errors", "port_rcv_switch_relay_errors"],
  ...["port_xmit_constraint_errors", "port_xmit_data", "port_xmit_discards", "port_xmit_packets", "port_xmit_wait"],
  ...["symbol_error", "unicast_rcv_packets", "unicast_xmit_packets", "VL15_dropped"],
];
const hardwareCounters = [
  ...["duplicate_request", "implied_nak_seq_err", "local_ack_timeout_err", "np_cnp_sent", "np_ecn_marked_roce_packets"],
  ...["out_of_buffer", "out_of_sequence", "packet_seq_err", "req_cqe_error", "resp_cqe_error", "rnr_nak_retry_err"],
  ...["roce_adp_retrans", "roce_slow_restart", "rp_cnp_handled", "rx_atomic_requests", "rx_icrc_encapsulated"],
];

function writeInfiniband(): void {
  for (const device of range(size.infinibandPorts)) {
    const folder = `sys/class/infiniband/mlx5_${device}`;
    writeAll(folder, { board_id: "MT_0000000838", fw_ver: "28.39.1002", hca_type: "MT4129" });
    const port = `${folder}/ports/1`;
    writeAll(port, {
      state: "4: ACTIVE",
      phys_state: "5: LinkUp",
      rate: "400 Gb/sec (4X NDR)",
      link_layer: "InfiniBand",
    });
    for (const [index, name] of portCounters.entries())
      write(`${port}/counters/${name}`, (device + 1) * (index + 1) * 4099);
    for (const [index, name] of hardwareCounters.entries()) write(`${port}/hw_counters/${name}`, device * (index + 1));
  }
}

/** The bus ids of the scripted library (test/equipment/nvml/nvml.c). */
function writeGpus(): void {
  for (const gpu of range(size.gpus)) {
    write(`sys/bus/pci/drivers/nvidia/0000:${(0x18 + 0x11 * gpu).toString(16)}:00.0/vendor`, "0x10de\n");
  }
}

function writeSensors(): void {
  for (const chip of range(size.chips)) {
    const device = `sys/devices/platform/sensor.${chip}`;
    const folder = `${device}/hwmon/hwmon${chip}`;
    write(`${folder}/name`, "coretemp\n");
    link(`${folder}/device`, "../..");
    link(`sys/class/hwmon/hwmon${chip}`, `../../devices/platform/sensor.${chip}/hwmon/hwmon${chip}`);
    for (const sensor of range(sensorsPerChip).map((index) => index + 1)) {
      writeAll(folder, {
        [`temp${sensor}_input`]: 30_000 + sensor * 1000,
        [`temp${sensor}_max`]: 80_000,
        [`temp${sensor}_crit`]: 90_000,
        [`temp${sensor}_label`]: `Core ${sensor}`,
      });
    }
  }
}

// At the end: the tables above are constants of this module.
copyUnscaledFiles();
writeProcessors();
writeDrives();
writeInterfaces();
writeInfiniband();
writeGpus();
writeSensors();
console.log(target);
