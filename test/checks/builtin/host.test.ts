import { describe, expect, test } from "bun:test";
import { clockSync } from "../../../checks/builtin/clock.ts";
import { cloudInit } from "../../../checks/builtin/cloud-init.ts";
import { dState } from "../../../checks/builtin/d-state.ts";
import { fileHandles } from "../../../checks/builtin/file-handles.ts";
import { kernelModulesLoaded } from "../../../checks/builtin/kernel-modules.ts";
import { mounts } from "../../../checks/builtin/mounts.ts";
import { processTable } from "../../../checks/builtin/process-table.ts";
import { rootDisk } from "../../../checks/builtin/root-disk.ts";
import { zombies } from "../../../checks/builtin/zombies.ts";
import type { BuiltinCheck } from "../../../checks/builtin/builtin.ts";
import { type Families, grade, noon, runWith, verdictOf } from "./grading.ts";

const root = { mountpoint: "/", device: "/dev/nvme0n1p2", fstype: "ext4" };
const data = { mountpoint: "/data", device: "filer:/data", fstype: "nfs4" };
const disk = (free: number, inodesFree = 900): Families => ({
  node_filesystem_device_error: [[root, 0]],
  node_filesystem_size_bytes: [[root, 1e12]],
  node_filesystem_avail_bytes: [[root, free]],
  node_filesystem_files: [[root, 1000]],
  node_filesystem_files_free: [[root, inodesFree]],
});
const zombiesOf = (number: number): Families => ({ aami_task_state_processes: [[{ state: "zombie" }, number]] });

interface Case {
  readonly check: BuiltinCheck;
  readonly what: string;
  readonly families: Families;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly expected: readonly [status: string, action: string, summary: string];
}

const cases: readonly Case[] = [
  {
    check: clockSync,
    what: "a disciplined clock",
    families: { node_timex_offset_seconds: 0.0004, node_timex_sync_status: 1 },
    expected: ["ok", "none", "the clock is 0.4 ms off"],
  },
  {
    check: clockSync,
    what: "no time service",
    families: { node_timex_offset_seconds: 0, node_timex_sync_status: 0 },
    expected: ["warning", "check_configuration", "no time service disciplines the clock"],
  },
  {
    check: clockSync,
    what: "no time service where none is asked for",
    families: { node_timex_offset_seconds: 0, node_timex_sync_status: 0 },
    parameters: { require_synchronised: false },
    expected: ["ok", "none", "the clock is 0.0 ms off"],
  },
  {
    check: clockSync,
    what: "a clock that is behind",
    families: { node_timex_offset_seconds: -0.25, node_timex_sync_status: 1 },
    expected: ["warning", "check_configuration", "the clock is 0.250 s off"],
  },
  {
    check: clockSync,
    what: "a clock far ahead",
    families: { node_timex_offset_seconds: 3, node_timex_sync_status: 0 },
    expected: ["critical", "check_configuration", "the clock is 3.000 s off"],
  },
  {
    check: clockSync,
    what: "a kernel that says nothing",
    families: {},
    expected: ["unknown", "none", "the kernel gave no clock state"],
  },
  {
    check: fileHandles,
    what: "few files, no limit of the kernel's",
    families: { node_filefd_allocated: 5000, node_filefd_maximum: 9.2e18 },
    expected: ["ok", "none", "5000 of 10000000 file handles in use (0.1 %)"],
  },
  {
    check: fileHandles,
    what: "many files",
    families: { node_filefd_allocated: 85, node_filefd_maximum: 100 },
    expected: ["warning", "check_application", "85 of 100 file handles in use (85 %)"],
  },
  {
    check: fileHandles,
    what: "nearly all files",
    families: { node_filefd_allocated: 99, node_filefd_maximum: 100 },
    expected: ["critical", "check_application", "99 of 100 file handles in use (99 %)"],
  },
  {
    check: fileHandles,
    what: "no numbers",
    families: {},
    expected: ["unknown", "none", "the kernel gave no number of open files"],
  },
  {
    check: zombies,
    what: "one zombie",
    families: zombiesOf(1),
    expected: ["ok", "none", "1 zombie process"],
  },
  {
    check: zombies,
    what: "a leak",
    families: zombiesOf(1000),
    expected: ["warning", "check_application", "1000 zombie processes"],
  },
  {
    check: zombies,
    what: "a lower limit",
    families: zombiesOf(30),
    parameters: { critical_processes: 30, warning_processes: 10 },
    expected: ["critical", "check_application", "30 zombie processes"],
  },
  {
    check: zombies,
    what: "no count",
    families: {},
    expected: ["unknown", "none", "the processes could not be counted"],
  },
  {
    check: rootDisk,
    what: "half full",
    families: disk(5e11),
    expected: ["ok", "none", "500 GB of 1 TB free (50 %)"],
  },
  {
    check: rootDisk,
    what: "nearly full",
    families: disk(8e10),
    expected: ["warning", "free_space", "/: 80 GB of 1 TB free (8 %)"],
  },
  {
    check: rootDisk,
    what: "full",
    families: disk(4e8),
    expected: ["critical", "free_space", "/: 400 MB of 1 TB free (0 %)"],
  },
  {
    check: rootDisk,
    what: "without inodes",
    families: disk(5e11, 0),
    expected: ["critical", "free_space", "/: 0 of 1000 inodes free"],
  },
  {
    check: rootDisk,
    what: "not answering",
    families: { node_filesystem_device_error: [[root, 1]] },
    expected: ["unknown", "none", "/: the root file system has not answered"],
  },
  {
    check: mounts,
    what: "all answer",
    families: { aami_mount_healthy: [[root, 1]], aami_mount_probe_info: [[{ ...root, state: "ok" }, 1]] },
    expected: ["ok", "none", "1 mount probed, all answer"],
  },
  {
    check: mounts,
    what: "a hung server",
    families: {
      aami_mount_healthy: [
        [root, 1],
        [data, 0],
      ],
      aami_mount_probe_info: [[{ ...data, state: "stuck", step: "statfs", error: "" }, 1]],
      aami_mount_stuck_seconds: [[data, 400]],
      aami_mount_last_success_timestamp_seconds: [[data, noon - 430]],
    },
    expected: [
      "critical",
      "check_storage",
      "/data: hangs in statfs, last answer at 2026-11-20 11:52:50 UTC (nfs4 from filer:/data)",
    ],
  },
  {
    check: mounts,
    what: "a server that hung when the daemon started",
    families: {
      aami_mount_healthy: [[data, 0]],
      aami_mount_probe_info: [[{ ...data, state: "stuck", step: "statfs", error: "" }, 1]],
      aami_mount_stuck_seconds: [[data, 400]],
    },
    expected: ["critical", "check_storage", "/data: hangs in statfs (nfs4 from filer:/data)"],
  },
  {
    check: mounts,
    what: "one that answers again, once",
    families: {
      aami_mount_healthy: [[data, 0]],
      aami_mount_probe_info: [[{ ...data, state: "ok", step: "", error: "" }, 1]],
      aami_mount_stuck_seconds: [[data, 0]],
    },
    expected: ["critical", "check_storage", "/data: answers again, and has to do so once more (nfs4 from filer:/data)"],
  },
  {
    check: mounts,
    what: "a frozen file system",
    families: {
      aami_mount_healthy: [[data, 0]],
      aami_mount_probe_info: [[{ ...data, state: "ok", step: "", error: "" }, 1]],
      aami_mount_write_test_stuck_seconds: [[data, 90]],
    },
    expected: ["critical", "check_storage", "/data: a write does not come back: is it frozen? (nfs4 from filer:/data)"],
  },
  {
    check: mounts,
    what: "a stale handle",
    families: {
      aami_mount_healthy: [[data, 0]],
      aami_mount_probe_info: [[{ ...data, state: "failed", step: "stat", error: "ESTALE" }, 1]],
    },
    expected: ["critical", "check_storage", "/data: fails with ESTALE (nfs4 from filer:/data)"],
  },
  {
    check: mounts,
    what: "an ignored one",
    families: { aami_mount_healthy: [[data, 0]] },
    parameters: { ignore: ["/data"] },
    expected: ["ok", "none", "0 mounts probed, all answer"],
  },
  {
    check: mounts,
    what: "an expected one that is missing",
    families: { aami_mount_expected_present: [[{ mountpoint: "/scratch", level: "warning" }, 0]] },
    expected: ["warning", "check_storage", "/scratch: expected and not mounted"],
  },
  {
    check: mounts,
    what: "another than the expected one",
    families: {
      aami_mount_expected_present: [[{ mountpoint: "/data", level: "critical" }, 0]],
      aami_mount_probe_info: [[{ ...data, state: "ok", step: "", error: "" }, 1]],
      aami_mount_healthy: [[data, 1]],
    },
    expected: [
      "critical",
      "check_storage",
      "/data: another file system than the expected is mounted there (nfs4 from filer:/data)",
    ],
  },
  {
    check: mounts,
    what: "one that became read-only",
    families: {
      aami_mount_readonly_expected_mismatch: [[{ mountpoint: "/data", level: "critical" }, 1]],
      aami_mount_readonly: [[data, 1]],
    },
    expected: ["critical", "check_storage", "/data: read-only, and expected to be writable"],
  },
  {
    check: mounts,
    what: "one that became writable",
    families: {
      aami_mount_readonly_expected_mismatch: [[{ mountpoint: "/data", level: "warning" }, 1]],
      aami_mount_readonly: [[data, 0]],
    },
    expected: ["warning", "check_storage", "/data: writable, and expected to be read-only"],
  },
  {
    check: mounts,
    what: "one that is not probed and not as expected",
    families: { aami_mount_readonly_expected_mismatch: [[{ mountpoint: "/data", level: "critical" }, 1]] },
    expected: ["critical", "check_storage", "/data: not mounted as expected, read-only or writable"],
  },
  {
    check: mounts,
    what: "no inodes",
    families: { aami_mount_inodes_exhausted: [[root, 1]] },
    expected: ["critical", "free_space", "/: no inode left: no file can be created"],
  },
  {
    check: mounts,
    what: "errors of ext4",
    families: { aami_mount_filesystem_errors: [[root, 2]] },
    expected: ["warning", "check_storage", "/: ext4 has recorded 2 errors since its last fsck"],
  },
  {
    check: mounts,
    what: "no probe for long",
    families: { aami_mount_probe_info: [[{ ...data, state: "ok" }, 1]] },
    expected: ["unknown", "none", "/data: no probe has come to an end for a while"],
  },
  {
    check: processTable,
    what: "few",
    families: { aami_task_threads: 900, aami_task_threads_max: 32_768 },
    expected: ["ok", "none", "900 of 32768 threads (2.7 %)"],
  },
  {
    check: processTable,
    what: "many",
    families: { aami_task_threads: 27_000, aami_task_threads_max: 32_768 },
    expected: ["warning", "check_application", "27000 of 32768 threads (82.4 %)"],
  },
  {
    check: processTable,
    what: "almost all",
    families: { aami_task_threads: 32_000, aami_task_threads_max: 32_768 },
    expected: ["critical", "check_application", "32000 of 32768 threads (97.7 %)"],
  },
  {
    check: processTable,
    what: "no count",
    families: { aami_task_threads_max: 32_768 },
    expected: ["unknown", "none", "the threads could not be counted"],
  },
  {
    check: kernelModulesLoaded,
    what: "all there",
    families: { aami_kernel_module_loaded: [[{ module: "nvidia_peermem" }, 1]] },
    parameters: { required: ["nvidia-peermem"] },
    expected: ["ok", "none", "1 required module loaded"],
  },
  {
    check: kernelModulesLoaded,
    what: "one missing",
    families: { aami_kernel_module_loaded: [[{ module: "nvidia" }, 1]] },
    parameters: { required: ["nvidia", "mlx5_ib"] },
    expected: ["critical", "check_configuration", "mlx5_ib: the module is not loaded"],
  },
];

test.each(cases.map((entry) => [entry.check.name, entry.what, entry] as const))("%s: %s", (_name, _what, entry) => {
  const { status, action, summary } = verdictOf(entry.check, entry.families, { parameters: entry.parameters ?? {} });
  expect([status, action, summary]).toEqual([...entry.expected]);
});

test("root_disk waits for the first probe", () => {
  expect(grade(rootDisk, {}).absent).toBe("the root file system has not been probed yet");
});

test("kernel_modules without a list judges nothing", () => {
  expect(grade(kernelModulesLoaded, {}).absent).toBe("no module is required");
});

test("clock_sync says what to type", () => {
  const remedyOf = (offset: number, status: number): string | undefined =>
    grade(clockSync, { node_timex_offset_seconds: offset, node_timex_sync_status: status }).findings[0]?.remedy;
  expect(remedyOf(0, 0)).toContain("`timedatectl set-ntp true`");
  expect(remedyOf(3, 1)).toContain("`chronyc makestep`");
});

describe("cloud_init", () => {
  const stages = (end: number | undefined, ...errors: readonly (readonly [message: string, recoverable: string])[]) => {
    const families: Families = {
      aami_cloud_init_stage_start_timestamp_seconds: [[{ stage: "init" }, noon - 9000]],
      aami_cloud_init_stage_end_timestamp_seconds: end === undefined ? [] : [[{ stage: "init" }, end]],
      aami_cloud_init_error_info: errors.map(([message, recoverable]) => [{ stage: "init", recoverable, message }, 1]),
    };
    return families;
  };
  test.each([
    ["all well", stages(noon - 7200), {}, "ok", "done at 2026-11-20 10:00:00 UTC, without errors"],
    ["an error", stages(noon - 7200, ["ssh failed", "false"]), {}, "critical", "stage init: ssh failed"],
    ["one that it went on after", stages(noon - 7200, ["no mirror", "true"]), {}, "warning", "stage init: no mirror"],
    [
      "a stage that does not end",
      stages(undefined),
      {},
      "warning",
      "stage init: goes on since 2026-11-20 09:30:00 UTC",
    ],
    ["a stage that takes its time", stages(undefined), { stage_minutes: 180 }, "ok", "stage init is running"],
  ] as const)("%s", (_what, families, parameters, status, summary) => {
    expect(verdictOf(cloudInit, families, { parameters })).toMatchObject({
      status,
      summary,
      action: status === "ok" ? "none" : "check_configuration",
    });
  });

  test("errors have happened, and can be acknowledged; a stage that goes on is so now", () => {
    const [error] = grade(cloudInit, stages(noon - 7200, ["ssh failed", "false"])).findings;
    expect(error?.at).toBe(new Date((noon - 7200) * 1000).toISOString());
    expect(grade(cloudInit, stages(undefined)).findings[0]?.at).toBeUndefined();
  });

  test("not there: no check; not readable: unknown", async () => {
    expect((await runWith(cloudInit, { state: "absent", reason: "cloud-init has not run" })).outcome).toBe("absent");
    expect((await runWith(cloudInit, { state: "failed", reason: "SyntaxError" })).verdict?.status).toBe("unknown");
  });
});

describe("d_state", () => {
  const blocked = (name: string, start = 77): Families => ({
    aami_task_blocked_start_ticks: [[{ pid: "812", name }, start]],
  });
  const after = (seconds: readonly number[], families: Families, bootId = "boot-1") => {
    let memory: unknown;
    for (const second of seconds.slice(0, -1)) {
      memory = grade(dState, families, { memory, nowSeconds: noon + second }).memory;
    }
    return verdictOf(dState, families, { memory, nowSeconds: noon + (seconds.at(-1) ?? 0), bootId });
  };

  test("a short wait is none of its business", () => {
    expect(after([0, 60, 120], blocked("fio"))).toMatchObject({ status: "ok" });
  });

  test("five minutes are a warning", () => {
    expect(after([0, 60, 120, 180, 240, 300], blocked("fio"))).toMatchObject({
      status: "warning",
      action: "check_storage",
      summary: "fio (pid 812): seen in uninterruptible sleep since 2026-11-20 12:00:00 UTC",
    });
  });

  test("a driver's own process is critical and needs a reboot", () => {
    expect(after([0, 120, 240, 360], blocked("nvidia-smi"))).toMatchObject({ status: "critical", action: "reboot" });
  });

  test("a driver's process that hangs again after two reboots needs hands", () => {
    let memory: unknown;
    let nowSeconds = noon;
    for (const bootId of ["a", "b", "c"]) {
      for (let minute = 0; minute < 6; minute++) {
        nowSeconds += 60;
        memory = grade(dState, blocked("nvidia-smi"), { memory, nowSeconds, bootId }).memory;
      }
      const action = bootId === "c" ? "inspect_hardware" : "reboot";
      expect(verdictOf(dState, blocked("nvidia-smi"), { memory, nowSeconds, bootId })).toMatchObject({ action });
    }
  });

  test("of many the driver's own are listed", () => {
    const many = (count: number): Families => ({
      aami_task_blocked_start_ticks: [
        ...Array.from({ length: count }, (_, pid) => [{ pid: String(pid), name: "fio" }, 5] as const),
        [{ pid: "999", name: "nvidia-smi" }, 5],
      ],
    });
    const memory = grade(dState, many(50), { nowSeconds: noon }).memory;
    const verdict = verdictOf(dState, many(50), { memory, nowSeconds: noon + 400 });
    expect(verdict.status).toBe("critical");
    expect(verdict.findings).toHaveLength(20);
  });

  test("one look that found it awake does not start its time anew", () => {
    let memory = grade(dState, blocked("fio"), { nowSeconds: noon }).memory;
    memory = grade(dState, {}, { memory, nowSeconds: noon + 60 }).memory;
    memory = grade(dState, blocked("fio"), { memory, nowSeconds: noon + 120 }).memory;
    memory = grade(dState, blocked("fio"), { memory, nowSeconds: noon + 240 }).memory;
    expect(verdictOf(dState, blocked("fio"), { memory, nowSeconds: noon + 300 }).status).toBe("warning");
  });

  test("with looks far apart as well", () => {
    let memory = grade(dState, blocked("fio"), { nowSeconds: noon }).memory;
    for (const minutes of [5, 10])
      memory = grade(dState, blocked("fio"), { memory, nowSeconds: noon + minutes * 60 }).memory;
    expect(verdictOf(dState, blocked("fio"), { memory, nowSeconds: noon + 900 })).toMatchObject({
      status: "warning",
      summary: "fio (pid 812): seen in uninterruptible sleep since 2026-11-20 12:00:00 UTC",
    });
  });

  test("what was waiting before hours without a look is not known to have waited all the time", () => {
    const memory = grade(dState, blocked("fio"), { nowSeconds: noon }).memory;
    expect(verdictOf(dState, blocked("fio"), { memory, nowSeconds: noon + 7200 }).status).toBe("ok");
  });

  test("the same number with another start is another process", () => {
    const memory = grade(dState, blocked("fio"), { nowSeconds: noon }).memory;
    expect(verdictOf(dState, blocked("fio", 99), { memory, nowSeconds: noon + 120 }).status).toBe("ok");
  });

  test("times of before a reboot are forgotten", () => {
    expect(after([0, 60, 120, 180, 240, 300], blocked("fio"), "boot-2").status).toBe("ok");
  });

  test("ignored names may wait", () => {
    const memory = grade(dState, blocked("fio"), { nowSeconds: noon }).memory;
    const parameters = { ignore: ["fio"], minimum_seconds: 60 };
    expect(verdictOf(dState, blocked("fio"), { memory, nowSeconds: noon + 100, parameters }).status).toBe("ok");
  });
});

const all = [clockSync, cloudInit, dState, fileHandles, kernelModulesLoaded, mounts, processTable, rootDisk, zombies];
test.each(all.map((check): [string, BuiltinCheck] => [check.name, check]))(
  "%s is unknown when its source failed",
  async (_name, check) => {
    const { verdict } = await runWith(check, { state: "failed", reason: "EIO" });
    expect(verdict).toMatchObject({ status: "unknown", action: "none", summary: expect.stringContaining("EIO") });
  },
);
