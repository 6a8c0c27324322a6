import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listDisks } from "../../../collectors/smart/disks.ts";
import { createSmartctl } from "../../../collectors/smart/smartctl.ts";
import { silentLogger } from "../../../runtime/log.ts";

const folder = mkdtempSync(join(tmpdir(), "aami-smart-"));
afterAll(() => rmSync(folder, { recursive: true }));

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("what a program prints and how it ends", async () => {
  const smartctl = createSmartctl(program("prints", 'echo "{$*}"; exit 4'), silentLogger);
  const result = await smartctl.call("/dev/sda", ["--json", "/dev/sda"], 60_000);
  expect(result).toEqual({ end: "exited", exitStatus: 4, stdout: "{--json /dev/sda}\n" });
});

test("a program that ignores SIGTERM ends at the deadline", async () => {
  const smartctl = createSmartctl(program("stubborn", "trap '' TERM; while :; do sleep 0.1; done"), silentLogger);
  expect(await smartctl.call("/dev/sda", [], 200)).toEqual({ end: "deadline" });
});

test("a program that prints without end is cut off", async () => {
  const smartctl = createSmartctl(program("flood", "exec cat /dev/zero"), silentLogger);
  const result = await smartctl.call("/dev/sda", [], 60_000);
  expect(result.end).toBe("exited");
  expect(result.end === "exited" && result.stdout.length).toBeLessThan(2 << 20);
});

test("a program that goes on printing although nobody reads is ended", async () => {
  const script = "while :; do head -c 65536 /dev/zero 2>/dev/null; done";
  const smartctl = createSmartctl(program("endless", script), silentLogger);
  expect((await smartctl.call("/dev/sda", [], 60_000)).end).toBe("exited");
}, 180_000);

test("a program that leaves another one with the pipe behind is not waited for", async () => {
  const smartctl = createSmartctl(program("leaves", "echo done; sleep 15 & exit 0"), silentLogger);
  expect(await smartctl.call("/dev/sda", [], 60_000)).toEqual({ end: "exited", exitStatus: 0, stdout: "done\n" });
}, 180_000);

test("a program that is not there is named", async () => {
  const smartctl = createSmartctl(join(folder, "absent"), silentLogger);
  expect(await smartctl.call("/dev/sda", [], 60_000)).toMatchObject({
    end: "failed",
    error: expect.stringContaining("absent"),
  });
});

test("disks of a sysfs tree: no virtual ones, no SAN volumes", () => {
  const sys = join(folder, "sys");
  const write = (path: string, text: string): void => {
    mkdirSync(join(sys, path, ".."), { recursive: true });
    writeFileSync(join(sys, path), `${text}\n`);
  };
  for (const name of ["sda", "sdb", "vda", "loop0", "dm-0", "md0", "zram0", "nvme0n1"]) {
    write(`block/${name}/queue/rotational`, "1");
    write(`block/${name}/stat`, "5 0 0 0 7 0 0 0");
  }
  write("devices/pci/host0/target0/state", "running");
  write("devices/platform/host1/session1/target1/state", "running");
  symlinkSync("../../devices/pci/host0/target0", join(sys, "block/sda/device"));
  symlinkSync("../../devices/platform/host1/session1/target1", join(sys, "block/sdb/device"));
  write("class/nvme/nvme0/state", "live");
  for (const entry of ["nvme0n1", "nvme0c0n2", "hwmon1"]) mkdirSync(join(sys, "class/nvme/nvme0", entry));
  write("devices/pci/host0/target0/power/runtime_status", "suspended");
  expect(listDisks(sys)).toEqual([
    {
      name: "sda",
      path: "/dev/sda",
      rotational: true,
      state: "running",
      requests: 12,
      suspended: true,
      namespaces: [],
    },
    {
      name: "nvme0",
      path: "/dev/nvme0",
      rotational: false,
      state: "live",
      requests: undefined,
      suspended: false,
      namespaces: ["nvme0n2", "nvme0n1"],
    },
  ]);
});
