import { describe, expect, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { type FaultyFile, mountFaultyFile } from "../equipment/faulty-file.ts";
import {
  isInPrivateNamespace,
  lacksMounts,
  namespaceLimitMs,
  testInPrivateNamespace,
} from "../equipment/private-namespace.ts";
import { createRecordedHost } from "../equipment/recorded-host.ts";
import { compareScrapes, countTree, seriesOf, timeScrape } from "../equipment/scrape-watch.ts";
import { type RunningDaemon, seriesValue, startDaemon, waitForPage } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

if (isInPrivateNamespace) {
  describe("files of procfs and sysfs that misbehave", testFiles);
} else {
  test.skipIf(await lacksMounts())(
    "files of procfs and sysfs that misbehave, in a namespace of their own",
    () => testInPrivateNamespace(import.meta.path),
    namespaceLimitMs,
  );
}

/** The collectors give up after a second, so that a fault is known soon. */
const config = { scrape: { collector_timeout_seconds: 1 } };
const stuckLine = /stuck in the kernel/;

interface Pair extends AsyncDisposable {
  readonly faulty: RunningDaemon;
  readonly healthy: RunningDaemon;
  readonly files: readonly FaultyFile[];
}

/** A daemon on a host some of whose files will misbehave, and one on the same host without. */
async function startPair(workspace: Workspace, paths: readonly string[]): Promise<Pair> {
  const host = createRecordedHost(workspace);
  const flags = [...host.flags, "--collector.interrupts", "--collector.softirqs"];
  await using stack = new AsyncDisposableStack();
  const other = createWorkspace();
  stack.use(other);
  const healthy = await startDaemon({
    workspace: other,
    config,
    flags: [...createRecordedHost(other).flags, ...flags.slice(5)],
  });
  stack.use(healthy);
  const files: FaultyFile[] = [];
  for (const path of paths) files.push(await mountFaultyFile(host.file(path)));
  for (const file of files) stack.use(file);
  const faulty = await startDaemon({ workspace, config, flags, expectedErrors: [stuckLine] });
  stack.use(faulty);
  const kept = stack.move();
  return { faulty, healthy, files, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const hasTimedOut = (page: string, collector: string): boolean =>
  seriesValue(page, `aami_collector_state{collector="${collector}",state="timeout"}`) === 1;

function waitForState(daemon: RunningDaemon, collector: string, state: string): Promise<string> {
  return waitForPage(daemon, [`aami_collector_state{collector="${collector}",state="${state}"} 1`]);
}

interface Status {
  readonly collectors: Readonly<Record<string, { readonly state: string; readonly error?: string }>>;
  readonly stuck: readonly { readonly job: string; readonly wchan?: string }[];
}

const statusOf = async (daemon: RunningDaemon): Promise<Status> =>
  (await (await daemon.get("/api/v1/status")).json()) as Status;
const stuckJobs = async (daemon: RunningDaemon): Promise<string[]> =>
  (await statusOf(daemon)).stuck.map(({ job }) => job);

const hwmonFile = "sys/class/hwmon/hwmon0/temp1_input";
const counterFile = "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data";

function testFiles(): void {
  test.each([
    ["loadavg", "proc/loadavg", "read", "node_load1"],
    ["meminfo", "proc/meminfo", "open", "node_memory_MemTotal_bytes"],
    ["hwmon", hwmonFile, "read", "node_hwmon_fan_rpm"],
    ["netclass", "sys/class/net/eth0/mtu", "read", "node_network_mtu_bytes"],
    ["infiniband", counterFile, "open", "node_infiniband_rate_bytes_per_second"],
  ] as const)("%s: %s never answers", async (collector, path, operation, family) => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace, [path]);
    const { faulty, healthy, files } = pair;
    const before = await faulty.page();
    expect(before).toContain(`\n${family}`);

    files[0]?.hang(operation);
    const headers = { "X-Prometheus-Scrape-Timeout-Seconds": "3" };
    const started = performance.now();
    const first = await (await faulty.get("/metrics", { headers })).text();
    expect(performance.now() - started).toBeLessThan(3000);
    expect(hasTimedOut(first, collector)).toBe(true);
    expect(files[0]?.held()).toBeGreaterThan(0);

    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    const page = await faulty.page();
    expect(page).not.toContain(`\n${family}`);
    expect(seriesValue(page, `node_scrape_collector_success{collector="${collector}"}`)).toBe(0);
    // Nothing else is missing.
    const expected = seriesOf(await healthy.page(`/metrics?exclude[]=${collector}`));
    expect(expected.filter((series) => !page.includes(`\n${series} `))).toEqual([]);

    const { collectors } = await statusOf(faulty);
    expect(collectors[collector]?.state).toBe("timeout");
    expect(await stuckJobs(faulty)).toEqual([`collect ${collector}`]);
    const stuckLines = faulty.process.lines().filter((line) => stuckLine.test(line));
    expect(stuckLines).toHaveLength(1);
    expect(stuckLines[0]).toContain(`"job":"collect ${collector}"`);

    files[0]?.answer();
    await waitForState(faulty, collector, "ok");
    expect(seriesOf(await faulty.page())).toEqual(seriesOf(before));
  });

  test("a file that is slow costs two pages its own time, and none a series", async () => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace, [hwmonFile]);
    const { faulty, healthy, files } = pair;
    const before = seriesOf(await faulty.page());
    // Read twice, the second time to see its end.
    files[0]?.slowDown(300);
    const page = await waitForPage(faulty, ['aami_collector_reading_age_seconds{collector="hwmon"}']);
    expect(seriesOf(page)).toEqual(before);
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    expect(seriesOf(await faulty.page())).toEqual(before);
    const told = faulty.process.lines().filter((line) => line.includes("collector is slow"));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('"collector":"hwmon"');

    // Slower than a collector may be, it is the same as one that never answers.
    files[0]?.slowDown(5000);
    await waitForState(faulty, "hwmon", "timeout");
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    files[0]?.answer();
    await waitForState(faulty, "hwmon", "ok");
  });

  test.each([
    ["hwmon", hwmonFile, "EIO", 'node_hwmon_temp_celsius{chip="nct6779",sensor="temp1"}'],
    ["hwmon", hwmonFile, "ENODATA", 'node_hwmon_temp_celsius{chip="nct6779",sensor="temp1"}'],
    [
      "infiniband",
      counterFile,
      "EINVAL",
      'node_infiniband_port_data_transmitted_bytes_total{device="mlx5_0",port="1"}',
    ],
    [
      "infiniband",
      counterFile,
      "EACCES",
      'node_infiniband_port_data_transmitted_bytes_total{device="mlx5_0",port="1"}',
    ],
    ["netclass", "sys/class/net/eth0/mtu", "EIO", 'node_network_mtu_bytes{device="eth0"}'],
  ] as const)("%s: %s that answers %s costs one series", async (collector, path, errno, series) => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace, [path]);
    const { faulty, files } = pair;
    const before = seriesOf(await faulty.page());
    files[0]?.fail(errno);
    const page = await waitFor("the page without it", async () => {
      const text = await faulty.page();
      return !text.includes(`\n${series} `) && text;
    });
    expect(before.filter((name) => !page.includes(`\n${name} `))).toEqual([series]);
    expect(seriesValue(page, `node_scrape_collector_success{collector="${collector}"}`)).toBe(1);
    for (let scrape = 0; scrape < 5; scrape++) await faulty.page();
    const page2 = await faulty.page();
    const skipped = `aami_collector_skipped_reads_total{collector="${collector}"}`;
    expect(seriesValue(page2, skipped) ?? 0).toBeGreaterThan(seriesValue(page, skipped) ?? 0);
    const told = faulty.process.lines().filter((line) => line.includes(errno) && line.includes(files[0]?.path ?? "-"));
    expect(told).toHaveLength(1);
    files[0]?.answer();
  });

  test("twelve files hang at once: everything else is back within two tries", async () => {
    using workspace = createWorkspace();
    const broken: Readonly<Record<string, string>> = {
      ...{ interrupts: "proc/interrupts", loadavg: "proc/loadavg", netclass: "sys/class/net/eth0/mtu" },
      ...{ netstat: "proc/net/snmp", schedstat: "proc/schedstat", sockstat: "proc/net/sockstat" },
      ...{ softirqs: "proc/softirqs", softnet: "proc/net/softnet_stat", vmstat: "proc/vmstat" },
      ...{ hwmon: hwmonFile, infiniband: counterFile, udp_queues: "proc/net/udp" },
    };
    await using pair = await startPair(workspace, Object.values(broken));
    const { faulty, healthy, files } = pair;
    await faulty.page();
    for (const file of files) file.hang("read");
    const query = Object.keys(broken).map((name) => `exclude[]=${name}`);
    const expected = seriesOf(await healthy.page(`/metrics?${query.join("&")}`));
    await waitFor("everything but what hangs", async () => {
      const page = await faulty.page();
      return (
        Object.keys(broken).every((name) => hasTimedOut(page, name)) &&
        expected.every((series) => page.includes(`\n${series} `))
      );
    });
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    for (const file of files) file.answer();
    await waitFor("all collectors", async () => !(await faulty.page()).includes('state="timeout"} 1'));
  });

  test("an hour of files that never answer, compressed: nothing piles up", async () => {
    using workspace = createWorkspace();
    const paths = ["proc/loadavg", "proc/vmstat", "proc/softirqs", "sys/class/net/eth0/mtu", hwmonFile, counterFile];
    await using pair = await startPair(workspace, paths);
    const { faulty, healthy, files } = pair;
    await faulty.page();
    for (const file of files) file.hang("read");
    for (const collector of ["loadavg", "vmstat", "softirqs", "netclass", "hwmon", "infiniband"]) {
      await waitForState(faulty, collector, "timeout");
    }
    await waitFor("all of them to be named", async () => (await stuckJobs(faulty)).length === files.length);
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    const early = countTree(faulty.process.pid);
    for (let scrape = 0; scrape < 240; scrape++) {
      await timeScrape(faulty);
      // Half a minute, so that the tries to come back to them happen too.
      await Bun.sleep(100);
    }
    const late = countTree(faulty.process.pid);
    expect(late.processes).toBeLessThanOrEqual(early.processes);
    expect(late.threads).toBeLessThanOrEqual(early.threads + 4);
    expect(late.descriptors).toBeLessThanOrEqual(early.descriptors + 4);
    expect(late.bytes - early.bytes).toBeLessThan(32 * 2 ** 20);
    const lines = faulty.process.lines().filter((line) => stuckLine.test(line));
    expect(lines).toHaveLength(files.length);
  });
}

if (!isInPrivateNamespace) {
  test("a FIFO where procfs has a file: one collector is given up, and comes back with the file", async () => {
    using workspace = createWorkspace();
    using other = createWorkspace();
    const host = createRecordedHost(workspace);
    const path = host.file("proc/loadavg");
    rmSync(path);
    Bun.spawnSync(["mkfifo", path]);
    await using healthy = await startDaemon({ workspace: other, config, flags: createRecordedHost(other).flags });
    await using daemon = await startDaemon({ workspace, config, flags: host.flags });
    const first = await daemon.page();
    expect(hasTimedOut(first, "loadavg")).toBe(true);
    expect(first).toContain("\nnode_memory_MemTotal_bytes ");
    expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
    writeFileSync(`${path}.new`, "0.10 0.20 0.30 1/100 1000\n");
    renameSync(`${path}.new`, path);
    expect(seriesValue(await waitForPage(daemon, ["\nnode_load1 "]), "node_load1")).toBe(0.1);
  });

  test.each([
    ["nonsense", "nonsense\n"],
    ["nothing", ""],
    ["NUL bytes", new Uint8Array(64)],
    ["no UTF-8", new Uint8Array([0xff, 0xfe, 0x31, 0x0a])],
    ["a number of 400 digits", "9".repeat(400)],
  ])("a sensor that holds %s costs its series at most", async (_what, content) => {
    using workspace = createWorkspace();
    const host = createRecordedHost(workspace);
    await using daemon = await startDaemon({ workspace, config, flags: host.flags });
    const before = seriesOf(await daemon.page());
    host.put(hwmonFile, content);
    const page = await daemon.page();
    const lost = before.filter((series) => !page.includes(`\n${series} `));
    expect(["", 'node_hwmon_temp_celsius{chip="nct6779",sensor="temp1"}']).toContain(lost.join());
    expect(seriesValue(page, 'node_scrape_collector_success{collector="hwmon"}')).toBe(1);
  });
}
