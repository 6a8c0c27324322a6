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
import { countMost, waitForNoMoreThan } from "../equipment/process-tree.ts";
import { compareScrapes, completePage, seriesOf, timeScrape } from "../equipment/scrape-watch.ts";
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
const config = givingUpAfter(1);
const stuckLine = /stuck in the kernel/;

function givingUpAfter(collector_timeout_seconds: number) {
  return { scrape: { collector_timeout_seconds } };
}

interface Pair extends AsyncDisposable {
  readonly faulty: RunningDaemon;
  readonly healthy: RunningDaemon;
  readonly files: readonly FaultyFile[];
}

/** A daemon on a host some of whose files will misbehave, and one on the same host without. */
async function startPair(workspace: Workspace, paths: readonly string[], config = givingUpAfter(1)): Promise<Pair> {
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
const waitForStuckJobs = (daemon: RunningDaemon, jobs: readonly string[]): Promise<boolean> =>
  waitFor(`${jobs.join(", ")} to be named as stuck, and nothing else`, async () => {
    await daemon.page();
    expect((await statusOf(daemon)).stuck.map(({ job }) => job).sort()).toEqual(jobs.toSorted());
    return true;
  });

const waitForSeries = (daemon: RunningDaemon, series: readonly string[]): Promise<string> =>
  waitFor("a page with exactly the series of before", async () => {
    const page = await daemon.page();
    expect(seriesOf(page)).toEqual([...series]);
    return page;
  });

const hwmonFile = "sys/class/hwmon/hwmon0/temp1_input";
const counterFile = "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data";

function testFiles(): void {
  test.each([
    ["vmstat", "proc/vmstat", "read", "node_vmstat_pgfault"],
    ["meminfo", "proc/meminfo", "open", "node_memory_MemTotal_bytes"],
    ["hwmon", hwmonFile, "read", "node_hwmon_fan_rpm"],
    ["netclass", "sys/class/net/eth0/mtu", "read", "node_network_mtu_bytes"],
    ["infiniband", counterFile, "open", "node_infiniband_rate_bytes_per_second"],
  ] as const)("%s: %s never answers", async (collector, path, operation, family) => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace, [path]);
    const { faulty, healthy, files } = pair;
    const before = await completePage(faulty);
    expect(before).toContain(`\n${family}`);

    await files[0]?.hang(operation);
    expect(hasTimedOut(await faulty.page(), collector)).toBe(true);
    expect(files[0]?.held()).toBeGreaterThan(0);

    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    const expected = seriesOf(await healthy.page(`/metrics?exclude[]=${collector}`));
    // Nothing else is missing.
    const page = await waitForPage(
      faulty,
      expected.map((series) => `\n${series} `),
    );
    expect(page).not.toContain(`\n${family}`);
    expect(seriesValue(page, `node_scrape_collector_success{collector="${collector}"}`)).toBe(0);

    const { collectors } = await statusOf(faulty);
    expect(collectors[collector]?.state).toBe("timeout");
    if (operation === "read") expect(collectors[collector]?.error).toContain(`/${path}`);
    await waitForStuckJobs(faulty, [`collect ${collector}`]);
    const told = faulty.process.lines().filter((line) => line.includes(`"job":"collect ${collector}"`));
    expect(told.filter((line) => stuckLine.test(line))).toHaveLength(1);

    await files[0]?.answer();
    await waitForSeries(faulty, seriesOf(before));
  });

  test("a file that is slow costs two pages its own time, and none a series", async () => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace, [hwmonFile], givingUpAfter(3));
    const { faulty, healthy, files } = pair;
    const before = seriesOf(await completePage(faulty));
    // Read twice, the second time to see its end.
    await files[0]?.slowDown(300);
    const page = await waitForPage(faulty, ['aami_collector_reading_age_seconds{collector="hwmon"}']);
    const ofSensors = before.filter((series) => series.startsWith("node_hwmon_"));
    expect(ofSensors.filter((series) => !page.includes(`\n${series} `))).toEqual([]);
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    await waitForSeries(faulty, before);
    const told = faulty.process.lines().filter((line) => line.includes("collector is slow"));
    expect(told.filter((line) => line.includes('"collector":"hwmon"'))).toHaveLength(1);

    // Slower than a collector may be, it is the same as one that never answers.
    await files[0]?.slowDown(5000);
    await waitForState(faulty, "hwmon", "timeout");
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    await files[0]?.answer();
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
    const before = seriesOf(await completePage(faulty));
    await files[0]?.fail(errno);
    const page = await waitFor("the page without it, and only it", async () => {
      const text = await faulty.page();
      expect(before.filter((name) => !text.includes(`\n${name} `))).toEqual([series]);
      return text;
    });
    expect(seriesValue(page, `node_scrape_collector_success{collector="${collector}"}`)).toBe(1);
    const skipped = `aami_collector_skipped_reads_total{collector="${collector}"}`;
    const skippedNow = seriesValue(page, skipped) ?? 0;
    await waitFor("five more", async () => (seriesValue(await faulty.page(), skipped) ?? 0) >= skippedNow + 5);
    const told = faulty.process.lines().filter((line) => line.includes(errno) && line.includes(files[0]?.path ?? "-"));
    expect(told).toHaveLength(1);
    await files[0]?.answer();
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
    await completePage(faulty);
    for (const file of files) await file.hang("read");
    const query = Object.keys(broken).map((name) => `exclude[]=${name}`);
    const expected = seriesOf(await healthy.page(`/metrics?${query.join("&")}`));
    await waitFor("everything but what hangs", async () => {
      const page = await faulty.page();
      expect(Object.keys(broken).filter((name) => !hasTimedOut(page, name))).toEqual([]);
      expect(expected.filter((series) => !page.includes(`\n${series} `))).toEqual([]);
      return true;
    });
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    for (const file of files) await file.answer();
    await completePage(faulty);
  });

  test("an hour of files that never answer, compressed: nothing piles up", async () => {
    using workspace = createWorkspace();
    const paths = ["proc/schedstat", "proc/vmstat", "proc/softirqs", "sys/class/net/eth0/mtu", hwmonFile, counterFile];
    await using pair = await startPair(workspace, paths);
    const { faulty, healthy, files } = pair;
    const jobs = ["schedstat", "vmstat", "softirqs", "netclass", "hwmon", "infiniband"].map(
      (name) => `collect ${name}`,
    );
    await completePage(faulty);
    for (const file of files) await file.hang("read");
    await waitForStuckJobs(faulty, jobs);
    expect(await compareScrapes(faulty, healthy)).toBeLessThan(1.2);
    const early = await countMost(faulty.process.pid, () => timeScrape(faulty));
    for (let scrape = 0; scrape < 160; scrape++) {
      await timeScrape(faulty);
      // Longer than 15 s, so that two tries to come back to them happen too.
      await Bun.sleep(100);
    }
    await waitForNoMoreThan(early, faulty.process.pid);
    const told = faulty.process.lines().filter((line) => stuckLine.test(line));
    for (const job of jobs) expect(told.filter((line) => line.includes(`"job":"${job}"`))).toHaveLength(1);
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
    expect(hasTimedOut(await daemon.page(), "loadavg")).toBe(true);
    await waitForPage(daemon, ["\nnode_memory_MemTotal_bytes "]);
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
    const before = seriesOf(await completePage(daemon));
    host.put(hwmonFile, content);
    const page = await completePage(daemon);
    const lost = before.filter((series) => !page.includes(`\n${series} `));
    expect(["", 'node_hwmon_temp_celsius{chip="nct6779",sensor="temp1"}']).toContain(lost.join());
    expect(seriesValue(page, 'node_scrape_collector_success{collector="hwmon"}')).toBe(1);
  });
}
