import { describe, expect, test } from "bun:test";
import { filefd } from "../../collectors/filefd.ts";
import { meminfo } from "../../collectors/meminfo.ts";
import { pressure } from "../../collectors/pressure.ts";
import { sockstat } from "../../collectors/sockstat.ts";
import { stat } from "../../collectors/stat.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

test("meminfo: kB to bytes, page counts as they are, fields of newer kernels too", async () => {
  const text = "MemTotal: 16 kB\nActive(anon): 1 kB\nHugePages_Total:  5\nHugepagesize: 2048 kB\nNovelty: 1 kB\n";
  expect(await collectFrom(meminfo, { "proc/meminfo": text })).toMatchObject({
    series: [
      "node_memory_Active_anon_bytes 1024",
      "node_memory_HugePages_Total 5",
      "node_memory_Hugepagesize_bytes 2.097152e+06",
      "node_memory_MemTotal_bytes 16384",
      "node_memory_Novelty_bytes 1024",
    ],
    skipped: [],
  });
});

test("meminfo: a line that does not parse costs one series", async () => {
  const page = await collectFrom(meminfo, { "proc/meminfo": "MemTotal: 16 MB\nMemFree:\nCached: 1 kB\n" });
  expect(page).toMatchObject({
    series: ["node_memory_Cached_bytes 1024"],
    skipped: ["MemTotal in meminfo", "MemFree in meminfo"],
  });
});

const kernel =
  "cpu 1\nintr 80 1 2 3\nctxt 38014093\nbtime 1418183276\nprocesses 26442\nprocs_running 2\nprocs_blocked 1\n";

describe("stat", () => {
  test("totals only", async () => {
    const { series } = await collectFrom(stat, { "proc/stat": `${kernel}softirq 1 2 3\n` });
    expect(series).toEqual([
      "node_boot_time_seconds 1.418183276e+09",
      "node_context_switches_total 3.8014093e+07",
      "node_forks_total 26442",
      "node_intr_total 80",
      "node_procs_blocked 1",
      "node_procs_running 2",
    ]);
  });

  test("softirq vectors when asked for", async () => {
    const files = { "proc/stat": `${kernel}softirq 55 1 2 3 4 5 6 7 8 9 10\n` };
    const { series } = await collectFrom(stat, files, { softirq: true });
    expect(series.filter((line) => line.startsWith("node_softirqs_total"))).toHaveLength(10);
    expect(series).toContain('node_softirqs_total{vector="rcu"} 10');
  });

  test("a missing line costs one series", async () => {
    const page = await collectFrom(stat, { "proc/stat": kernel.replace(/ctxt.*\n/, "") });
    expect(page.series).toHaveLength(5);
    expect(page.skipped).toEqual(["ctxt in stat"]);
  });
});

test("filefd: allocated and maximum", async () => {
  const { series } = await collectFrom(filefd, { "proc/sys/fs/file-nr": "1024\t0\t1631329\n" });
  expect(series).toEqual(["node_filefd_allocated 1024", "node_filefd_maximum 1.631329e+06"]);
});

test("sockstat: states per protocol, pages to bytes", async () => {
  const page = await collectFrom(sockstat, {
    "proc/net/sockstat": "sockets: used 229\nTCP: inuse 4 orphan 0 mem 1\nUDP: inuse x novel 3\n",
    "proc/net/sockstat6": "FRAG6: inuse 0 memory 7\n",
  });
  expect(page.series.filter((line) => !line.includes("mem_bytes"))).toEqual([
    "node_sockstat_FRAG6_inuse 0",
    "node_sockstat_FRAG6_memory 7",
    "node_sockstat_TCP_inuse 4",
    "node_sockstat_TCP_mem 1",
    "node_sockstat_TCP_orphan 0",
    "node_sockstat_sockets_used 229",
  ]);
  expect(page.series.find((line) => line.startsWith("node_sockstat_TCP_mem_bytes"))).toMatch(/ (4096|16384|65536)$/);
  expect(page.skipped).toEqual(["UDP inuse in sockstat"]);
});

describe("pressure", () => {
  const psi = (some: number, full: number) =>
    `some avg10=0.10 avg60=2.00 avg300=3.85 total=${some}\nfull avg10=0.20 avg60=3.00 avg300=4.95 total=${full}\n`;

  test("microseconds to seconds; CPUs have no full, interrupts no some", async () => {
    const { series } = await collectFrom(pressure, {
      "proc/pressure/cpu": psi(15_000_000, 1),
      "proc/pressure/io": psi(16_000_000, 17_000_000),
      "proc/pressure/irq": "full avg10=0.00 avg60=0.00 avg300=0.00 total=8494\n",
    });
    expect(series).toEqual([
      "node_pressure_cpu_waiting_seconds_total 15",
      "node_pressure_io_stalled_seconds_total 17",
      "node_pressure_io_waiting_seconds_total 16",
      "node_pressure_irq_stalled_seconds_total 0.008494",
    ]);
  });

  test("a kernel without it is absent, a bad line costs its series", async () => {
    expect((await collectFrom(pressure, { "proc/": "" })).state).toBe("absent");
    const page = await collectFrom(pressure, { "proc/pressure/cpu": psi(1, 1), "proc/pressure/io": "nonsense\n" });
    expect(page.series).toEqual(["node_pressure_cpu_waiting_seconds_total 1e-06"]);
    expect(page.skipped).toEqual(["pressure/io"]);
  });

  test("a file that cannot be read costs its series, all of them the collector", async () => {
    const page = await collectFrom(pressure, { "proc/pressure/cpu": psi(1, 1), "proc/pressure/irq": unreadable });
    expect(page.series).toHaveLength(1);
    expect(page.skipped).toEqual(["pressure/irq"]);
    await expect(collectFrom(pressure, { "proc/pressure/cpu": unreadable })).rejects.toThrow("EISDIR");
  });
});
