import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { createEventLog } from "../../collectors/events.ts";
import { recognise } from "../../collectors/kmsg/patterns.ts";
import { findKernelTrouble } from "../../collectors/mounts/kernel-trouble.ts";
import { parseMountInfo } from "../../collectors/mounts/table.ts";
import { silentLogger } from "../../runtime/log.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

/** sysfs with a SATA disk, an NVMe disk, a volume on both, and a mirror of two disks. */
function writeSysfs(workspace: Workspace): string {
  const link = (path: string, target: string): void => {
    mkdirSync(dirname(workspace.file(path)), { recursive: true });
    symlinkSync(target, workspace.file(path));
  };
  const devices = "devices/pci/ata1/block/sda";
  for (const folder of [
    `${devices}/sda1`,
    "devices/pci/nvme/nvme0/nvme0n1/nvme0n1p2",
    "devices/virtual/block/dm-0/slaves",
  ])
    mkdirSync(workspace.file(`sys/${folder}`), { recursive: true });
  mkdirSync(workspace.file("sys/devices/virtual/block/md0/slaves"), { recursive: true });
  link("sys/dev/block/8:1", `../../${devices}/sda1`);
  link("sys/dev/block/259:2", "../../devices/pci/nvme/nvme0/nvme0n1/nvme0n1p2");
  link("sys/dev/block/253:0", "../../devices/virtual/block/dm-0");
  link("sys/devices/virtual/block/dm-0/slaves/sda1", "../../../../pci/ata1/block/sda/sda1");
  link("sys/dev/block/9:0", "../../devices/virtual/block/md0");
  link("sys/devices/virtual/block/md0/slaves/sda1", "../../../../pci/ata1/block/sda/sda1");
  return workspace.file("sys");
}

const mounts = {
  sata: "31 1 8:1 / /data rw - ext4 /dev/sda1 rw",
  nvme: "32 1 259:2 / /scratch rw - xfs /dev/nvme0n1p2 rw",
  volume: "33 1 253:0 / /home rw - xfs /dev/mapper/vg-home rw",
  mirror: "34 1 9:0 / /raid rw - ext4 /dev/md0 rw",
  btrfs: "35 1 0:44 / /pool rw - btrfs /dev/sdc rw",
  nfs: "36 1 0:51 / /models rw - nfs4 nas:/export/models rw",
  nfs6: "37 1 0:52 / /six rw - nfs [fd00::1]:/export rw",
  tmpfs: "38 1 0:53 / /tmp rw - tmpfs tmpfs rw",
} as const;

/** What the kernel has said, a line a second. */
function troubleOf(mount: keyof typeof mounts, lines: readonly string[], bootId = "b"): string | undefined {
  using workspace = createWorkspace();
  const sysPath = writeSysfs(workspace);
  const events = createEventLog({ log: silentLogger });
  for (const [index, line] of lines.entries()) {
    const event = recognise(line);
    if (event === undefined) throw new Error(`not recognised: ${line}`);
    const { id: kind, severity, device } = event;
    events.record({
      key: `kmsg:b:${index}`,
      atMs: index * 1000,
      source: "kmsg",
      kind,
      severity,
      device,
      message: line,
    });
  }
  const [parsed] = parseMountInfo(mounts[mount]);
  if (parsed === undefined) throw new Error("no mount");
  return findKernelTrouble(parsed, { events, sysPath, bootId });
}

const ext4Error = "EXT4-fs error (device sda1): ext4_journal_check_start:83: comm worker: Detected aborted journal";
const diskError = "I/O error, dev sda, sector 8 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2";
const frozen = "nfs: server nas not responding, still trying";

describe("writes to a mount are spoken against", () => {
  test.each([
    ["by its filesystem", "sata", [ext4Error], "filesystem_error"],
    ["by its disk", "sata", [diskError], "disk_io_error"],
    ["by the disk below its volume", "volume", [diskError], "disk_io_error"],
    [
      "by a shutdown",
      "nvme",
      ["XFS (nvme0n1p2): Filesystem has been shut down due to log error (0x2)."],
      "filesystem_shutdown",
    ],
    ["by its controller", "nvme", ["nvme nvme0: Disabling device after reset failure: -19"], "nvme_gone"],
    ["by a disk named in the mount only", "btrfs", ["I/O error, dev sdc, sector 8 op 0x1:(WRITE)"], "disk_io_error"],
    ["by its server", "nfs", [frozen], "nfs_not_responding"],
    ["by its server's address", "nfs6", ["nfs: server fd00::1 not responding, timed out"], "nfs_not_responding"],
    ["by a process that hangs in writing back", "nfs", [" nfs_wb_all+0x22/0x120 [nfs]"], "nfs_writeback_hung"],
    [
      "again, after it was mounted anew",
      "sata",
      [ext4Error, "EXT4-fs (sda1): mounted filesystem r/w", diskError],
      "disk_io_error",
    ],
  ] as const)("%s", (_what, mount, lines, event) => {
    expect(troubleOf(mount, lines)).toBe(event);
  });

  test.each([
    ["nothing", "sata", []],
    ["another disk", "nvme", [diskError]],
    ["one disk of a mirror", "mirror", [diskError]],
    ["another server", "nfs", ["nfs: server old not responding, still trying"]],
    ["a server that is back", "nfs", [frozen, "nfs: server nas OK"]],
    [
      "what was before it was mounted",
      "sata",
      [ext4Error, "EXT4-fs (sda1): mounted filesystem with ordered data mode."],
    ],
    [
      "what was before it was mounted (XFS)",
      "nvme",
      [
        "XFS (nvme0n1p2): Filesystem has been shut down due to log error (0x2).",
        "XFS (nvme0n1p2): Ending recovery (logdev: internal)",
      ],
    ],
    ["a disk when it is mounted from memory", "tmpfs", [diskError]],
  ] as const)("not by %s", (_what, mount, lines) => {
    expect(troubleOf(mount, lines)).toBeUndefined();
  });

  test("not by what the kernel said before it was booted again", () => {
    expect(troubleOf("sata", [ext4Error], "another boot")).toBeUndefined();
  });
});

test("a frame that may be a leftover is no sign of a hung write", () => {
  expect(recognise(" ? nfs_wb_all+0x22/0x120 [nfs]")).toBeUndefined();
});
