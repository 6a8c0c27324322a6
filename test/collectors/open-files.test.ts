import { describe, expect, setSystemTime, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createOpenFiles } from "../../collectors/open-files.ts";
import { lacks } from "../harness/requirements.ts";
import { sharedFolder } from "../harness/workspace.ts";

const collectors = join(import.meta.dir, "../../collectors");
const needsRoot = await lacks("root");
const folder = sharedFolder();

describe("open files", () => {
  test.each([
    "/proc/version",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/net/dev",
    "/sys/kernel/mm/transparent_hugepage/enabled",
  ])("%s reads as with a fresh descriptor, again and again", (path) => {
    const files = createOpenFiles();
    const shape = (text: string): string => text.replaceAll(/[\d.]+/g, "#").replaceAll(/ +/g, " ");
    for (let index = 0; index < 3; index++) expect(shape(files.read(path))).toBe(shape(readFileSync(path, "utf8")));
    expect(files.size()).toBe(1);
  });

  test("what the kernel says now, not what it said before", async () => {
    const files = createOpenFiles();
    const before = files.read("/proc/uptime");
    const deadline = performance.now() + 60_000;
    while (files.read("/proc/uptime") === before && performance.now() < deadline) await Bun.sleep(5);
    expect(files.read("/proc/uptime")).not.toBe(before);
  });

  test.each([0, 1, 4095, 4096, 4097, 65_536, 1_000_000])("an ordinary file of %d bytes is read whole", (size) => {
    const path = join(folder, `size-${size}`);
    writeFileSync(path, "é".repeat(size / 2));
    expect(createOpenFiles().read(path)).toBe("é".repeat(size / 2));
  });

  test("a file of a process is not held", () => {
    const files = createOpenFiles();
    expect(files.read(`/proc/${process.pid}/status`)).toContain(`Pid:\t${process.pid}\n`);
    expect(files.size()).toBe(0);
  });

  test.each([
    ["/proc/nonexistent", "ENOENT"],
    ["/proc", "EISDIR"],
  ])("%s fails with %s and holds nothing", (path, code) => {
    const files = createOpenFiles();
    expect(() => files.read(path)).toThrow(code);
    expect(files.size()).toBe(0);
  });

  test("a clock that is set says nothing about how long ago a file was read", () => {
    const files = createOpenFiles();
    files.beginRound();
    files.read("/proc/version");
    setSystemTime(Date.now() + 3_600_000);
    try {
      files.beginRound();
    } finally {
      setSystemTime();
    }
    expect(files.size()).toBe(1);
  });

  test("a value that the driver does not have is refused each time, by the one descriptor", () => {
    // A link without a carrier has no speed; the loopback device never has one.
    const files = createOpenFiles();
    for (let index = 0; index < 3; index++) expect(() => files.read("/sys/class/net/lo/speed")).toThrow("EINVAL");
    expect(files.size()).toBe(1);
  });

  test("no more than the limit is held, and what is not read for long is let go", () => {
    let time = 0;
    const files = createOpenFiles({ limit: 2, now: () => time });
    for (const path of ["/proc/version", "/proc/uptime", "/proc/loadavg"]) files.read(path);
    expect(files.size()).toBe(2);
    time = 400_000;
    expect(files.read("/proc/loadavg")).not.toBe("");
    expect(files.size()).toBe(1);
  });

  /** Renames the one network device of a namespace between the two halves of a script; what it prints. */
  const renameDevice = (before: string, after: string): unknown => {
    const script = `
      import { createOpenFiles } from "${collectors}/open-files.ts";
      import { askNetlink, encodeAttribute, netlinkFamily } from "${collectors}/netlink.ts";
      let time = 0;
      const files = createOpenFiles({ now: () => time });
      const before = ${before};
      const [RTM_SETLINK, IFLA_IFNAME, loopback] = [19, 3, 1];
      const header = Buffer.alloc(16);
      header.writeInt32LE(loopback, 4);
      const payload = Buffer.concat([header, encodeAttribute(IFLA_IFNAME, Buffer.from("other\\0"))]);
      askNetlink({ family: netlinkFamily.route, type: RTM_SETLINK, payload, dump: false });
      const readOrCode = (path) => { try { return files.read(path); } catch (error) { return error.code; } };
      console.log(JSON.stringify([before, ${after}]));`;
    const shell = 'mount -t sysfs sysfs /mnt && exec "$@"';
    const argv = ["unshare", "--net", "--mount", "sh", "-c", shell, "sh", process.execPath, "-e", script];
    const { stdout, stderr } = Bun.spawnSync(argv);
    expect(`${stderr}`).toBe("");
    return JSON.parse(`${stdout}`);
  };

  // Removed devices fail by themselves; a renamed one lives on, and so does a file that was opened under the old name.
  test.skipIf(needsRoot)("a path under another name is not read through the old descriptor", () => {
    const after = 'readOrCode("/mnt/class/net/lo/mtu"), readOrCode("/mnt/class/net/other/mtu")';
    expect(renameDevice('files.read("/mnt/class/net/lo/mtu")', after)).toEqual(["65536\n", "ENOENT", "65536\n"]);
  });

  test.skipIf(needsRoot)(
    "the names in a folder of sysfs are not a minute old, those of one that is gone not at all",
    () => {
      const list = (path: string): string => `files.list("/mnt/class/net${path}")`;
      const before = `[${list("")}, ${list("/lo").replace(/$/, '.includes("mtu")')}]`;
      const after = `${list("/lo")}, (time = 59_000, ${list("")}), (time = 60_000, ${list("")})`;
      expect(renameDevice(before, after)).toEqual([[["lo"], true], [], ["lo"], ["other"]]);
    },
  );
});
