import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountFuse } from "../equipment/broken-mounts.ts";
import {
  isInPrivateNamespace,
  lacksMounts,
  namespaceLimitMs,
  testInPrivateNamespace,
} from "../equipment/private-namespace.ts";
import { countMost, waitForNoMoreThan } from "../equipment/process-tree.ts";
import { compareScrapes } from "../equipment/scrape-watch.ts";
import { type RunningDaemon, seriesValue, startDaemon, waitForPage } from "../harness/daemon.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

/** A directory that hangs is given up soon; a large file has the time that it takes on a busy machine. */
const timeouts = { short: 1, long: 60 };

if (isInPrivateNamespace) {
  describe("a textfile directory", testHangingDirectory);
} else {
  test.skipIf(await lacksMounts())(
    "a textfile directory that hangs, in a namespace of its own",
    () => testInPrivateNamespace(import.meta.path),
    namespaceLimitMs,
  );
  describe("text files", testTextfiles);
}

const startWith = (workspace: Workspace, directory: string, timeout = timeouts.long): Promise<RunningDaemon> =>
  startDaemon({
    workspace,
    config: { scrape: { collector_timeout_seconds: timeout } },
    flags: [`--collector.textfile.directory=${directory}`],
    expectedErrors: [/stuck in the kernel/],
  });

const manyLines = (count: number): string =>
  Array.from({ length: count }, (_, index) => `big_value{item="${index}"} ${index}\n`).join("");

function testHangingDirectory(): void {
  test.each(["opendir", "readdir"] as const)(
    "that no longer answers %s costs the text files only",
    async (operation) => {
      using workspace = createWorkspace();
      using other = createWorkspace();
      using hung = await mountFuse(join(workspace.path, "hung"));
      await using healthy = await startWith(other, other.path, timeouts.short);
      await using daemon = await startWith(workspace, hung.mountPoint, timeouts.short);
      await waitForPage(daemon, ["node_textfile_scrape_error 0\n"]);
      await hung.hang(operation);
      const first = await daemon.page();
      expect(seriesValue(first, 'aami_collector_state{collector="textfile",state="timeout"}')).toBe(1);
      await waitForPage(daemon, ["\nnode_memory_MemTotal_bytes "]);
      expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
      const lines = daemon.process.lines().filter((line) => /collector does not answer/.test(line));
      expect(lines.filter((line) => line.includes('"textfile"'))).toHaveLength(1);
      await hung.answer();
      await waitForPage(daemon, ['aami_collector_state{collector="textfile",state="ok"} 1']);
    },
  );
}

function testTextfiles(): void {
  test("a file of 100,000 lines is on the page, and nothing else waits for it", async () => {
    using workspace = createWorkspace();
    const directory = workspace.file("textfiles");
    mkdirSync(directory);
    await using daemon = await startWith(workspace, directory);
    writeFileSync(join(directory, "big.prom"), manyLines(100_000));
    const page = await waitForPage(daemon, ["big_value{"]);
    expect(page.split("\n").filter((line) => line.startsWith("big_value{"))).toHaveLength(100_000);
    expect(seriesValue(page, "node_textfile_scrape_error")).toBe(0);
    expect(seriesValue(page, 'aami_scrape_series{collector="textfile"}')).toBe(100_002);

    // Without it the page is as quick as on a machine that has no such file.
    using other = createWorkspace();
    await using healthy = await startWith(other, other.path);
    const without = { path: "/metrics?exclude[]=textfile" };
    expect(await compareScrapes(daemon, healthy, without)).toBeLessThan(1.2);

    const early = await countMost(daemon.process.pid, () => daemon.page());
    for (let scrape = 0; scrape < 10; scrape++) await daemon.page();
    await waitForNoMoreThan(early, daemon.process.pid, 128 * 2 ** 20);
  });

  test("a file that grows while it is read is there whole or not at all", async () => {
    using workspace = createWorkspace();
    const directory = workspace.file("textfiles");
    mkdirSync(directory);
    const path = join(directory, "growing.prom");
    writeFileSync(path, "");
    await using daemon = await startWith(workspace, directory);
    for (let length = 0; length < 3000; length += 100) {
      // A writer that does not rename: half a line is on disk at any time.
      appendFileSync(path, manyLines(100).replaceAll("item=", `part="${length}",item=`).slice(0, -3));
      const page = await daemon.page();
      const count = page.split("\n").filter((line) => line.startsWith("big_value{")).length;
      expect(count).toBe(0);
      expect(seriesValue(page, "node_textfile_scrape_error")).toBe(1);
      appendFileSync(path, "99\n");
    }
    writeFileSync(`${path}.new`, manyLines(10));
    renameSync(`${path}.new`, path);
    expect(await daemon.page()).toContain('big_value{item="9"} 9\n');
  });

  test("a FIFO, a folder and a socket among the files are flagged, the other files are served", async () => {
    using workspace = createWorkspace();
    using other = createWorkspace();
    const directory = workspace.file("textfiles");
    mkdirSync(join(directory, "folder.prom"), { recursive: true });
    Bun.spawnSync(["mkfifo", join(directory, "fifo.prom")]);
    writeFileSync(join(directory, "good.prom"), "good_value 1\n");
    using socket = listenOn(join(directory, "socket.prom"));
    expect(socket).toBeDefined();
    await using daemon = await startWith(workspace, directory);
    await using healthy = await startWith(other, other.path);
    const page = await daemon.page();
    expect(seriesValue(page, "good_value")).toBe(1);
    expect(seriesValue(page, "node_textfile_scrape_error")).toBe(1);
    expect(seriesValue(page, 'node_scrape_collector_success{collector="textfile"}')).toBe(1);
    expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
  });
}

function listenOn(unix: string): Disposable {
  const server = Bun.listen({ unix, socket: { data: () => {} } });
  return { [Symbol.dispose]: () => server.stop(true) };
}
