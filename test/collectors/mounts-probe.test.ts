import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFirstEntries } from "../../collectors/mounts/first-entry.ts";
import { type ProbeRequest, probeMount } from "../../collectors/mounts/probe.ts";
import { runWriteTest } from "../../collectors/mounts/write-test.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aami-probe-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const request = (path: string): ProbeRequest => ({ id: 1, path, device: "0:1", fstype: "tmpfs", sysPath: folder });

function probe(of: ProbeRequest) {
  const steps: string[] = [];
  return { ...probeMount(of, (step) => void steps.push(step)), steps };
}

test("a folder is asked three things, each announced before", () => {
  const { steps, failure, space } = probe(request(folder));
  expect(steps).toEqual(["statfs", "stat", "readdir"]);
  expect(failure).toBeUndefined();
  expect(space?.sizeBytes).toBeGreaterThan(0);
  expect(space?.availBytes).toBeLessThanOrEqual(space?.freeBytes ?? 0);
});

test("a mounted file has no entries to read", () => {
  writeFileSync(join(folder, "hosts"), "");
  expect(probe(request(join(folder, "hosts"))).failure).toBeUndefined();
});

test("the failing step and its error are named, and no later step is taken", () => {
  const { steps, failure } = probe(request(join(folder, "gone")));
  expect(failure).toEqual({ step: "statfs", errno: "ENOENT" });
  expect(steps).toEqual(["statfs"]);
});

test("ext4's own count of errors is read by device number", () => {
  mkdirSync(join(folder, "fs/ext4/sdx1"), { recursive: true });
  mkdirSync(join(folder, "dev/block"), { recursive: true });
  writeFileSync(join(folder, "fs/ext4/sdx1/errors_count"), "3\n");
  symlinkSync("../../devices/pci0000:00/block/sdx/sdx1", join(folder, "dev/block/8:1"));
  const ext4 = { ...request(folder), fstype: "ext4", device: "8:1" };
  expect(probe(ext4).ext4Errors).toBe(3);
  expect(probe({ ...ext4, device: "8:2" })).not.toHaveProperty("ext4Errors");
});

test.each([
  ["a folder", "", undefined],
  ["a file", "file", "ENOTDIR"],
  ["nothing", "gone", "ENOENT"],
])("entries of %s", (_, name, code) => {
  writeFileSync(join(folder, "file"), "");
  const read = (): void => readFirstEntries(join(folder, name));
  if (code === undefined) expect(read).not.toThrow();
  else expect(read).toThrow(code);
});

test("an error of the entries themselves keeps its name", () => {
  const doomed = join(folder, "doomed");
  mkdirSync(doomed);
  const fd = openSync(doomed, "r");
  try {
    rmSync(doomed, { recursive: true });
    // The link still opens the removed folder, which no longer has entries to read.
    expect(() => readFirstEntries(`/proc/self/fd/${fd}`)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  } finally {
    closeSync(fd);
  }
});

test("the write test writes, reads back and leaves an empty folder", () => {
  const { steps, failure, wrote } = probe({
    ...request(folder),
    write: { directory: join(folder, ".aami"), nodeName: "n1" },
  });
  expect(steps).toEqual(["statfs", "stat", "readdir", "write"]);
  expect({ failure, wrote }).toEqual({ failure: undefined, wrote: true });
  expect(readdirSync(join(folder, ".aami/n1"))).toEqual([]);
});

test("it does not follow a link that someone put in its place", () => {
  mkdirSync(join(folder, ".aami/n1"), { recursive: true });
  writeFileSync(join(folder, "victim"), "precious");
  symlinkSync(join(folder, "victim"), join(folder, ".aami/n1/write-test"));
  expect(() => runWriteTest({ directory: join(folder, ".aami"), nodeName: "n1" })).toThrow("ELOOP");
});

test.skipIf(process.getuid?.() !== 0)("it writes as another user and becomes root again", () => {
  const write = { directory: join(folder, ".aami"), nodeName: "n1", uid: 65534 };
  const groups = process.getgroups?.();
  expect(() => runWriteTest(write)).toThrow("EACCES");
  expect(process.geteuid?.()).toBe(0);
  mkdirSync(write.directory, { mode: 0o777 });
  Bun.spawnSync(["chmod", "755", folder]);
  Bun.spawnSync(["chown", "65534", write.directory]);
  runWriteTest(write);
  expect(process.geteuid?.()).toBe(0);
  expect(process.getgroups?.()).toEqual(groups);
});
