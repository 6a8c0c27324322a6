import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountAutofs, mountFuse, mountImage, runTool, startTool } from "../equipment/broken-mounts.ts";
import { type MountPage, watchMounts } from "../equipment/mount-watch.ts";
import {
  isInPrivateNamespace,
  lacksMounts,
  namespaceLimitMs,
  testInPrivateNamespace,
} from "../equipment/private-namespace.ts";
import { countMost, countTree, waitForNoMoreThan } from "../equipment/process-tree.ts";
import { waitFor } from "../harness/wait.ts";

if (isInPrivateNamespace) {
  describe("with real mounts", testRealMounts);
} else {
  test.skipIf(await lacksMounts())(
    "broken mounts, in a namespace of their own",
    () => testInPrivateNamespace(import.meta.path),
    namespaceLimitMs,
  );
}

function testRealMounts(): void {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "aami-faults-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The mount beside the broken one has all its series, on every page. */
  const isComplete = (mountPoint: string) => (page: MountPage) => {
    const own = page.lines.filter((line) => line.startsWith("node_filesystem_") && line.includes(`"${mountPoint}"`));
    expect(own).toHaveLength(9);
    expect(page.label("node_filesystem_device_error", mountPoint, "device_error")).toBe("");
    expect(page.value("aami_mount_probe_success", mountPoint)).toBe(1);
  };

  test.each([
    ["statfs", "statfs"],
    ["getattr", "stat"],
    ["opendir", "readdir"],
    ["readdir", "readdir"],
  ] as const)("a server that no longer answers %s", async (operation, step) => {
    using hung = await mountFuse(join(folder, `hung-${operation}`));
    using fine = await mountFuse(join(folder, "fine"));
    await using watch = watchMounts(folder);
    const fineIsComplete = isComplete(fine.mountPoint);
    for (const { mountPoint } of [hung, fine]) {
      await watch.until("a healthy start", (page) => page.value("aami_mount_healthy", mountPoint) === 1);
    }

    await hung.hang(operation);
    const stuck = await watch.until(
      "the mount is stuck",
      (page) => page.label("aami_mount_probe_info", hung.mountPoint, "state") === "stuck",
      fineIsComplete,
    );
    expect(stuck.label("aami_mount_probe_info", hung.mountPoint, "step")).toBe(step);
    expect(stuck.label("node_filesystem_device_error", hung.mountPoint, "device_error")).toBe("mountpoint timeout");
    expect(stuck.value("node_filesystem_device_error", hung.mountPoint)).toBe(1);
    expect(stuck.value("node_filesystem_size_bytes", hung.mountPoint)).toBeUndefined();
    expect(stuck.value("aami_mount_stuck_seconds", hung.mountPoint)).toBeGreaterThan(0.9);

    await watch.rounds(3, fine.mountPoint, fineIsComplete);
    const early = await countMost(process.pid, () => watch.page());
    await watch.rounds(15, fine.mountPoint, fineIsComplete);
    // What piles up would be fifteen.
    await waitForNoMoreThan(early, process.pid, 128 * 2 ** 20);
    expect(watch.warnings(hung.mountPoint).filter((line) => line.includes("stuck"))).toHaveLength(1);

    await hung.answer();
    const recovered = await watch.until(
      "the mount recovers",
      (page) =>
        page.label("aami_mount_probe_info", hung.mountPoint, "state") === "ok" &&
        page.value("aami_mount_healthy", hung.mountPoint) === 1,
      fineIsComplete,
    );
    expect(recovered.value("node_filesystem_size_bytes", hung.mountPoint)).toBe(4096000);
    expect(recovered.lines).toContain("aami_mount_stuck_probes 0");
  });

  test("a server that has crashed", async () => {
    using mount = await mountFuse(join(folder, "crashed"));
    await using watch = watchMounts(folder);
    await watch.until("a healthy start", (page) => page.value("aami_mount_healthy", mount.mountPoint) === 1);
    await mount.hang("statfs");
    await watch.until("stuck", (page) => page.label("aami_mount_probe_info", mount.mountPoint, "state") === "stuck");
    await mount.crash();
    const page = await watch.until(
      "the error",
      (current) => current.label("aami_mount_probe_info", mount.mountPoint, "state") === "failed",
    );
    expect(page.label("aami_mount_probe_info", mount.mountPoint, "error")).toBe("ENOTCONN");
    expect(page.label("node_filesystem_device_error", mount.mountPoint, "device_error")).toBe(
      "transport endpoint is not connected",
    );
    expect(page.lines).toContain("aami_mount_stuck_probes 0");
  });

  test("XFS that has shut down: statfs still answers, stat does not", async () => {
    using xfs = mountImage(folder, "xfs", "xfs");
    await using watch = watchMounts(folder);
    await watch.until("a healthy start", (page) => page.value("aami_mount_healthy", xfs.mountPoint) === 1);
    runTool("xfs_io", "-x", "-c", "shutdown", xfs.mountPoint);
    const page = await watch.until("unhealthy", (current) => current.value("aami_mount_healthy", xfs.mountPoint) === 0);
    expect(page.label("aami_mount_probe_info", xfs.mountPoint, "step")).toBe("stat");
    expect(page.label("aami_mount_probe_info", xfs.mountPoint, "error")).toBe("EIO");
    expect(page.value("node_filesystem_device_error", xfs.mountPoint)).toBe(0);
  });

  test("ext4 that has turned read-only after an error", async () => {
    using ext4 = mountImage(folder, "ext4", "ext4", "loop,errors=remount-ro");
    await using watch = watchMounts(folder, { expected: [{ mount_point: ext4.mountPoint, read_only: false }] });
    const isHealthy = (page: MountPage): boolean => page.value("aami_mount_healthy", ext4.mountPoint) === 1;
    const before = await watch.until("a healthy start", isHealthy);
    expect(before.value("aami_mount_readonly", ext4.mountPoint)).toBe(0);
    expect(before.value("aami_mount_readonly_expected_mismatch", ext4.mountPoint)).toBe(0);
    await Bun.write(`/sys/fs/ext4/${ext4.device}/trigger_fs_error`, "1");
    const page = await watch.until(
      "the error",
      (now) => now.value("aami_mount_filesystem_errors", ext4.mountPoint) === 1,
    );
    expect(page.value("node_filesystem_size_bytes", ext4.mountPoint)).toBeGreaterThan(1e6);
    // Linux 6.12 to 6.14 do not show it in the mount table; the recorded errors are all there is.
    if (!runTool("findmnt", "-no", "OPTIONS", ext4.mountPoint).includes("ro,")) return;
    const isMismatch = (now: MountPage): boolean =>
      now.value("aami_mount_readonly_expected_mismatch", ext4.mountPoint) === 1;
    const readOnly = await watch.until("read-only", isMismatch);
    expect(readOnly.value("node_filesystem_readonly", ext4.mountPoint)).toBe(1);
  });

  test("after an error of the filesystem in the kernel log nothing is written to it", async () => {
    using ext4 = mountImage(folder, "faulty", "ext4");
    const { mountPoint, device } = ext4;
    const write_tests = { mount_points: [mountPoint], interval_seconds: 1, timeout_seconds: 1, node_name: "node-1" };
    await using watch = watchMounts(folder, { write_tests });
    await watch.until("a write", (page) => page.value("aami_mount_write_test_success", mountPoint) === 1);
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const told = {
      source: "kmsg",
      kind: "filesystem_error",
      severity: "critical",
      device,
      message: "for a test",
    } as const;
    watch.events.record({ ...told, key: `kmsg:${bootId}:1`, atMs: Date.now() });
    const stopped = await watch.until(
      "the end of the writes",
      (page) => page.label("aami_mount_write_test_stopped_info", mountPoint, "event") === "filesystem_error",
    );
    const lastWrite = stopped.value("aami_mount_write_test_last_success_timestamp_seconds", mountPoint);
    expect(lastWrite).toBeGreaterThan(0);
    await watch.rounds(20, mountPoint, (page) => {
      expect(page.value("aami_mount_write_test_success", mountPoint)).toBeUndefined();
      expect(page.value("aami_mount_write_test_last_success_timestamp_seconds", mountPoint)).toBe(lastWrite);
      isComplete(mountPoint)(page);
    });
    expect(watch.warnings(mountPoint)).toEqual(["write tests stop after trouble in the kernel log"]);
  });

  test("a frozen filesystem: only the write test notices, and it leaves nothing behind", async () => {
    using ext4 = mountImage(folder, "frozen", "ext4");
    const { mountPoint } = ext4;
    const write_tests = { mount_points: [mountPoint], interval_seconds: 1, timeout_seconds: 1, node_name: "node-1" };
    await using watch = watchMounts(folder, { write_tests });
    await watch.until("a write", (page) => page.value("aami_mount_write_test_success", mountPoint) === 1);
    runTool("fsfreeze", "-f", mountPoint);
    const stuckSeconds = (page: MountPage): number =>
      page.value("aami_mount_write_test_stuck_seconds", mountPoint) ?? Number.NaN;
    const frozen = await watch.until("the blocked write", (page) => stuckSeconds(page) > 2);
    expect(frozen.value("aami_mount_healthy", mountPoint)).toBe(1);
    expect(frozen.value("aami_mount_write_test_success", mountPoint)).toBe(0);
    await watch.rounds(5, mountPoint, isComplete(mountPoint));
    await waitFor("no more than two probes", () => countTree(process.pid).processes <= 1 + 2);
    runTool("fsfreeze", "-u", mountPoint);
    await watch.until(
      "a write again",
      (page) => stuckSeconds(page) === 0 && page.value("aami_mount_write_test_success", mountPoint) === 1,
    );
    await watch[Symbol.asyncDispose]();
    expect(readdirSync(join(mountPoint, ".aami/node-1")).length).toBeLessThanOrEqual(1);
  });

  test("an expected mount that is gone, and back read-only", async () => {
    using ext4 = mountImage(folder, "data", "ext4");
    const { mountPoint } = ext4;
    await using watch = watchMounts(folder, { expected: [{ mount_point: mountPoint, fs_types: ["ext4"] }] });
    const isPresent = (page: MountPage): boolean => page.value("aami_mount_expected_present", mountPoint) === 1;
    await watch.until("present", isPresent);
    runTool("umount", mountPoint);
    await watch.until("missing", (page) => page.value("aami_mount_expected_present", mountPoint) === 0);
    runTool("mount", "-o", "loop,ro", join(folder, "data.img"), mountPoint);
    const page = await watch.until("back", isPresent);
    expect(page.value("aami_mount_readonly", mountPoint)).toBe(1);
    expect(watch.warnings(mountPoint)).toEqual(["expected mount is missing"]);
  });

  test("an automount is never triggered, only expected", async () => {
    using waiting = await mountAutofs(join(folder, "automount"));
    using fine = await mountFuse(join(folder, "beside"));
    const { mountPoint } = waiting;
    await using watch = watchMounts(folder, { fs_types_exclude: "^$", expected: [{ mount_point: mountPoint }] });
    await watch.until("present", (page) => page.value("aami_mount_expected_present", mountPoint) === 1);
    await watch.rounds(5, fine.mountPoint);
    expect(waiting.triggered()).toBe(0);
    // What a probe would have done:
    using look = startTool("stat", "-f", `${mountPoint}/.`);
    await watch.until("the trigger", () => waiting.triggered() > 0);
    expect(look.exitCode).toBeNull();
  });

  test("twelve mounts of dead servers: eight processes are given up, the other mounts stay complete", async () => {
    using fine = mountImage(folder, "local", "ext4");
    await using dead = new AsyncDisposableStack();
    const servers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => mountFuse(join(folder, `dead-${String(index).padStart(2, "0")}`))),
    );
    for (const server of servers) dead.use(server);
    await using watch = watchMounts(folder);
    const countOk = (page: MountPage): number =>
      servers.filter(({ mountPoint }) => page.label("aami_mount_probe_info", mountPoint, "state") === "ok").length;
    await watch.until("a healthy start", (page) => countOk(page) === 12);
    await watch.until("the local one", (page) => page.value("aami_mount_healthy", fine.mountPoint) === 1);
    for (const server of servers) await server.hang("getattr");
    const isFull = (page: MountPage): boolean => page.lines.includes("aami_mount_stuck_probes 8");
    await watch.until("eight stuck probes", isFull, isComplete(fine.mountPoint));
    await watch.rounds(10, fine.mountPoint, isComplete(fine.mountPoint));
    // This one, the twelve servers, eight stuck, two at work.
    await waitFor("no more than ten probes", () => countTree(process.pid).processes <= 1 + 12 + 8 + 2);
    await watch.until("no mount is passed off as fine", (page) =>
      servers.every(
        ({ mountPoint }) =>
          page.value("node_filesystem_device_error", mountPoint) === 1 &&
          page.value("aami_mount_probe_success", mountPoint) !== 1,
      ),
    );
    for (const server of servers) await server.answer();
    await watch.until("all have recovered", (page) => countOk(page) === 12, isComplete(fine.mountPoint));
    expect((await watch.page()).lines).toContain("aami_mount_stuck_probes 0");
  });
}
