import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "../../collectors/host.ts";
import {
  isReadOnly,
  type Mount,
  parseMountInfo,
  readMountTable,
  stripRoot,
  topMounts,
} from "../../collectors/mounts/table.ts";

const hostAt = (procPath: string): Pick<Host, "procPath" | "skipped"> => ({ procPath, skipped: () => {} });

function only(line: string): Mount {
  const [mount] = parseMountInfo(`${line}\n`);
  if (mount === undefined) throw new Error("no mount");
  return mount;
}

test.each([
  ["blank", "/data/my\\040disk", "/data/my disk"],
  ["tab", "/data/a\\011b", "/data/a\tb"],
  ["newline", "/data/a\\012b", "/data/a\nb"],
  ["backslash before digits", "/data/a\\134040", "/data/a\\040"],
  ["UTF-8", "/data/größe", "/data/größe"],
])("resolves a %s in the mount point", (_, written, mountPoint) => {
  expect(only(`50 1 8:1 / ${written} rw - ext4 /dev/sda1 rw`).mountPoint).toBe(mountPoint);
});

test.each([
  ["none", "rw", []],
  ["one", "rw shared:31", [["shared", "31"]]],
  [
    "several",
    "rw master:4 propagate_from:2 unbindable",
    [
      ["master", "4"],
      ["propagate_from", "2"],
      ["unbindable", ""],
    ],
  ],
])("reads %s optional fields", (_, fields, expected) => {
  const mount = only(`50 1 0:42 /vol /lustre ${fields} - lustre 10.0.0.1@o2ib:/fs ro,lazystatfs,flock=local`);
  expect([...mount.optionalFields]).toEqual(expected as [string, string][]);
  expect(mount).toMatchObject({ id: 50, parentId: 1, device: "0:42", root: "/vol", fstype: "lustre" });
  expect(mount.superOptions.get("flock")).toBe("local");
});

test("a line that is not mountinfo is an error, not a missing mount", () => {
  expect(() => parseMountInfo("50 1 8:1 / /data rw ext4 /dev/sda1 rw\n")).toThrow("not a mountinfo line");
});

test("of a table with such a line only the line is lost, and it is reported", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-table-"));
  try {
    const lines = [
      "1 0 8:1 / / rw - ext4 /dev/a rw",
      "garbage",
      "2 1 8:2 / /b rw ext4",
      "3 1 8:3 / /c rw - ext4 /dev/c rw",
    ];
    await Bun.write(join(folder, "1/mountinfo"), `${lines.join("\n")}\n`);
    const skipped: string[] = [];
    const host = {
      procPath: folder,
      skipped: (what: string, error: unknown) => void skipped.push(`${what}: ${error}`),
    };
    expect(readMountTable(host).map(({ mountPoint }) => mountPoint)).toEqual(["/", "/c"]);
    expect(skipped).toEqual([
      "a line of mountinfo: Error: not a mountinfo line: garbage",
      "a line of mountinfo: Error: not a mountinfo line: 2 1 8:2 / /b rw ext4",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  ["writable", "rw", "rw", false],
  ["mounted read-only", "ro,relatime", "rw", true],
  ["read-only superblock", "rw", "ro,errors=remount-ro", true],
  ["ext4 after an error, Linux 6.15", "rw", "rw,errors=remount-ro,emergency_ro", true],
  ["an option that only contains ro", "rw", "rw,errors=remount-ro,norecovery", false],
])("%s", (_, options, superOptions, expected) => {
  expect(isReadOnly(only(`50 1 8:1 / /data ${options} - ext4 /dev/sda1 ${superOptions}`))).toBe(expected);
});

test("of stacked mounts the last one counts", () => {
  const mounts = parseMountInfo(
    "50 1 0:40 / /home rw - autofs auto.home rw\n51 50 0:41 / /home rw - nfs4 nas:/home rw\n",
  );
  expect(topMounts(mounts).map(({ id, fstype }) => [id, fstype])).toEqual([[51, "nfs4"]]);
});

test.each([
  ["/", "/data", "/data"],
  ["/host", "/host/data", "/data"],
  ["/host", "/host", "/"],
  ["/host", "/hostile", "/hostile"],
  ["/host/", "/host/data", "/data"],
])("root %s strips %s to %s", (root, mountPoint, expected) => {
  expect(stripRoot(root, mountPoint)).toBe(expected);
});

test("PID 1's table is preferred, our own is the fallback", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-table-"));
  try {
    await Bun.write(join(folder, "self/mountinfo"), "1 0 8:1 / / rw - ext4 /dev/self rw\n");
    expect(readMountTable(hostAt(folder)).map(({ source }) => source)).toEqual(["/dev/self"]);
    await Bun.write(join(folder, "1/mountinfo"), "1 0 8:1 / / rw - ext4 /dev/init rw\n");
    expect(readMountTable(hostAt(folder)).map(({ source }) => source)).toEqual(["/dev/init"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the running kernel's table parses", () => {
  const mounts = readMountTable(hostAt("/proc"));
  expect(mounts.some(({ mountPoint }) => mountPoint === "/")).toBe(true);
  expect(mounts.every(({ id, device }) => Number.isInteger(id) && /^\d+:\d+$/.test(device))).toBe(true);
});
