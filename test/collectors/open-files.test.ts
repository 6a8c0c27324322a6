import { describe, expect, test } from "bun:test";
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

  // Removed devices fail by themselves; a renamed one lives on, and so does a file that was opened under the old name.
  test.skipIf(needsRoot)("a path under another name is not read through the old descriptor", () => {
    const script = `
      import { createOpenFiles } from "${collectors}/open-files.ts";
      import { askNetlink, encodeAttribute, netlinkFamily } from "${collectors}/netlink.ts";
      let time = 0;
      const files = createOpenFiles({ now: () => time });
      const before = files.read("/mnt/class/net/lo/mtu");
      const [RTM_SETLINK, IFLA_IFNAME, loopback] = [19, 3, 1];
      const header = Buffer.alloc(16);
      header.writeInt32LE(loopback, 4);
      const payload = Buffer.concat([header, encodeAttribute(IFLA_IFNAME, Buffer.from("other\\0"))]);
      askNetlink({ family: netlinkFamily.route, type: RTM_SETLINK, payload, dump: false });
      time = 1000;
      let after = "";
      try { after = files.read("/mnt/class/net/lo/mtu"); } catch (error) { after = error.code; }
      console.log(JSON.stringify([before, after, files.read("/mnt/class/net/other/mtu")]));`;
    const shell = 'mount -t sysfs sysfs /mnt && exec "$@"';
    const child = Bun.spawnSync([
      "unshare",
      "--net",
      "--mount",
      "sh",
      "-c",
      shell,
      "sh",
      process.execPath,
      "-e",
      script,
    ]);
    expect(`${child.stdout}${child.stderr}`.trim()).toBe('["65536\\n","ENOENT","65536\\n"]');
  });
});
