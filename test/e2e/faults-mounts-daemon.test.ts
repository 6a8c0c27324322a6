import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { mountFuse, mountImage, runTool } from "../equipment/broken-mounts.ts";
import { type MountPage, toMountPage } from "../equipment/mount-watch.ts";
import {
  isInPrivateNamespace,
  lacksMounts,
  namespaceLimitMs,
  testInPrivateNamespace,
} from "../equipment/private-namespace.ts";
import { countMost, waitForNoMoreThan } from "../equipment/process-tree.ts";
import { compareScrapes, quickest } from "../equipment/scrape-watch.ts";
import { type RunningDaemon, startDaemon } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace } from "../harness/workspace.ts";

if (isInPrivateNamespace) {
  describe("a daemon with broken mounts", testDaemon);
} else {
  test.skipIf(await lacksMounts())(
    "a daemon with broken mounts, in a namespace of its own",
    () => testInPrivateNamespace(import.meta.path),
    namespaceLimitMs,
  );
}

/** With short intervals an hour of trouble passes in seconds. */
const mountTimeoutSeconds = 4;
const filesystem = {
  probe_interval_seconds: 0.25,
  table_interval_seconds: 0.1,
  mount_timeout_seconds: mountTimeoutSeconds,
};
const config = { collectors: { filesystem } };

const readPage = async (daemon: RunningDaemon): Promise<MountPage> => toMountPage((await daemon.page()).split("\n"));

function waitForPage(daemon: RunningDaemon, what: string, satisfies: (page: MountPage) => boolean): Promise<MountPage> {
  return waitFor(what, async () => {
    const page = await readPage(daemon);
    return satisfies(page) && page;
  });
}

const stateOf = (page: MountPage, mountPoint: string): string | undefined =>
  page.label("aami_mount_probe_info", mountPoint, "state");

/** Names and labels of every series but those that tell of one mount, of time, or of the daemon itself. */
function seriesBeside(page: MountPage, mountPoint: string): string[] {
  return page.lines
    .filter((line) => line !== "" && !line.startsWith("#") && !line.includes(`"${mountPoint}"`))
    .map((line) => line.slice(0, line.lastIndexOf(" ")))
    .filter((series) => /^node_|^aami_(mount|collector)_/.test(series))
    .sort();
}

function testDaemon(): void {
  test("started while a mount hangs: the very first page is there at once, and complete but for it", async () => {
    using workspace = createWorkspace();
    using hung = await mountFuse(join(workspace.path, "hung"));
    using fine = mountImage(workspace.path, "fine", "ext4");
    await hung.hang("statfs");
    const sizeOf = (page: MountPage, mountPoint: string): number =>
      page.value("node_filesystem_size_bytes", mountPoint) ?? 0;
    const firstPage = async (): Promise<number> => {
      await using daemon = await startDaemon({ workspace, config });
      const started = performance.now();
      const page = await readPage(daemon);
      const elapsedMs = performance.now() - started;
      expect(page.lines).toContain('node_scrape_collector_success{collector="filesystem"} 1');
      expect(sizeOf(page, hung.mountPoint)).toBe(0);
      return [fine.mountPoint, "/"].every((path) => sizeOf(page, path) > 1e6) ? elapsedMs : Number.POSITIVE_INFINITY;
    };
    expect(await quickest(mountTimeoutSeconds * 1000, firstPage)).toBeLessThan(mountTimeoutSeconds * 1000);
    await using daemon = await startDaemon({ workspace, config });
    const stuck = await waitForPage(daemon, "stuck", (page) => stateOf(page, hung.mountPoint) === "stuck");
    expect(stuck.label("node_filesystem_device_error", hung.mountPoint, "device_error")).toBe("mountpoint timeout");
    await hung.answer();
    await waitForPage(daemon, "recovery", (page) => stateOf(page, hung.mountPoint) === "ok");
  });

  test("a mount that hangs takes nothing else from the page, and nothing piles up", async () => {
    using workspace = createWorkspace();
    using hung = await mountFuse(join(workspace.path, "hung"));
    await using daemon = await startDaemon({ workspace, config });
    const healthy = await waitForPage(daemon, "a healthy start", (page) => stateOf(page, hung.mountPoint) === "ok");
    await hung.hang("getattr");
    const stuck = await waitForPage(daemon, "stuck", (page) => stateOf(page, hung.mountPoint) === "stuck");
    expect(stuck.label("aami_mount_probe_info", hung.mountPoint, "step")).toBe("stat");
    await waitForPage(daemon, "everything but the mount", (page) => {
      const series = new Set(seriesBeside(page, hung.mountPoint));
      expect(seriesBeside(healthy, hung.mountPoint).filter((name) => !series.has(name))).toEqual([]);
      return true;
    });
    {
      using other = createWorkspace();
      const blind = { ...filesystem, mount_points_exclude: `^/(dev|proc|sys)($|/)|^${hung.mountPoint}$` };
      await using healthyDaemon = await startDaemon({
        workspace: other,
        config: { collectors: { filesystem: blind } },
      });
      expect(await compareScrapes(daemon, healthyDaemon)).toBeLessThan(1.2);
    }

    const scrape = async (): Promise<void> => {
      const pages = await Promise.all([1, 2, 3, 4].map(() => readPage(daemon)));
      for (const page of pages) expect(stateOf(page, hung.mountPoint)).toBe("stuck");
    };
    const early = await countMost(daemon.process.pid, scrape);
    for (let count = 0; count < 60; count++) await scrape();
    await waitForNoMoreThan(early, daemon.process.pid);
    const named = daemon.process.lines().filter((line) => line.includes("stuck") && line.includes(hung.mountPoint));
    expect(named).toHaveLength(1);
    expect(named[0]).toContain('"step":"stat"');
    expect(named[0]).toContain('"wchan":"');
  });

  test("it ends cleanly while a probe is stuck in the kernel", async () => {
    using workspace = createWorkspace();
    using hung = await mountFuse(join(workspace.path, "hung"));
    await using daemon = await startDaemon({ workspace, config });
    await hung.hang("opendir");
    await waitForPage(daemon, "stuck", (page) => stateOf(page, hung.mountPoint) === "stuck");
    expect(await daemon.process.stop()).toEqual({ exitCode: 0, signal: null });
  });

  test("frozen, shut down and read-only filesystems are told apart", async () => {
    using workspace = createWorkspace();
    using frozen = mountImage(workspace.path, "frozen", "ext4");
    using shutDown = mountImage(workspace.path, "shut-down", "xfs");
    using readOnly = mountImage(workspace.path, "read-only", "ext4", "loop,errors=remount-ro");
    const write_tests = { mount_points: [frozen.mountPoint], interval_seconds: 1, timeout_seconds: 1 };
    const writing = { collectors: { filesystem: { ...filesystem, write_tests } } };
    await using daemon = await startDaemon({ workspace, config: writing });
    const all = [frozen, shutDown, readOnly].map(({ mountPoint }) => mountPoint);
    await waitForPage(daemon, "a healthy start", (page) =>
      all.every((mountPoint) => stateOf(page, mountPoint) === "ok"),
    );
    await waitForPage(
      daemon,
      "a write",
      (page) => page.value("aami_mount_write_test_success", frozen.mountPoint) === 1,
    );
    runTool("fsfreeze", "-f", frozen.mountPoint);
    runTool("xfs_io", "-x", "-c", "shutdown", shutDown.mountPoint);
    await Bun.write(`/sys/fs/ext4/${readOnly.device}/trigger_fs_error`, "1");
    await waitForPage(
      daemon,
      "all three faults",
      (page) =>
        (page.value("aami_mount_write_test_stuck_seconds", frozen.mountPoint) ?? 0) > 0 &&
        page.label("aami_mount_probe_info", shutDown.mountPoint, "error") === "EIO" &&
        page.value("aami_mount_filesystem_errors", readOnly.mountPoint) === 1,
    );
    const page = await readPage(daemon);
    expect(stateOf(page, frozen.mountPoint)).toBe("ok");
    expect(stateOf(page, readOnly.mountPoint)).toBe("ok");
    expect(page.lines).toContain('node_scrape_collector_success{collector="filesystem"} 1');
  });
}
