import { describe, expect, test } from "bun:test";
import { createEventLog } from "../../../collectors/events.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import type { Disk } from "../../../collectors/smart/disks.ts";
import { smartPage } from "../../../collectors/smart/page.ts";
import { createSmartPoller } from "../../../collectors/smart/poller.ts";
import type { SmartctlResult } from "../../../collectors/smart/smartctl.ts";
import { createLogger, silentLogger } from "../../../runtime/log.ts";
import { notOpened, report, standby } from "./reports.ts";

const disk = (name: string, more: Partial<Disk> = {}): Disk => ({
  name,
  path: `/dev/${name}`,
  rotational: true,
  state: "running",
  requests: 10,
  suspended: false,
  namespaces: [],
  ...more,
});
const exited = (stdout: string, exitStatus = 0): SmartctlResult => ({ end: "exited", stdout, exitStatus });

/** A machine whose disks, clock and smartctl answers a test sets; `wait` lets that many seconds pass. */
function createBench(disks: Disk[], answer: (path: string, args: readonly string[]) => SmartctlResult) {
  let nowMs = 1_000_000;
  const calls: string[][] = [];
  const bench = {
    disks,
    answer,
    calls,
    scan: '{"smartctl":{}}',
    keepStale: false,
    inventories: 0,
    inventoryFails: false,
    events: createEventLog({ log: silentLogger }),
    wait: async (seconds: number): Promise<void> => {
      for (const end = nowMs + seconds * 1000; nowMs < end;) {
        nowMs += 1000;
        await poller.tick();
        await Promise.resolve();
      }
    },
    page: (): string =>
      encodeFamilies(
        smartPage(poller.devices(), {
          nowMs,
          intervalSeconds: 100,
          keepStale: bench.keepStale,
          disappeared: poller.disappeared(),
        }),
      )
        .map(({ text }) => text)
        .join(""),
  };
  const poller = createSmartPoller({
    settings: {
      intervalSeconds: 100,
      deadlineSeconds: 5,
      rescanSeconds: 300,
      concurrency: 2,
      isWatched: () => true,
      configured: [],
    },
    smartctl: {
      call: async (device, args) => {
        if (device === "--scan") return exited(bench.scan);
        calls.push([device, ...args]);
        return bench.answer(device, args);
      },
      stop: () => {},
    },
    listDisks: async () => {
      bench.inventories++;
      if (bench.inventoryFails) throw new Error("no answer in time");
      return bench.disks;
    },
    events: bench.events,
    log: createLogger({ write: (line) => lines.push(line) }),
    now: () => nowMs,
    random: () => 0.5,
  });
  const lines: string[] = [];
  return Object.assign(bench, { lines });
}

describe("polling", () => {
  test("a disk is polled soon after it is seen, and then every interval", async () => {
    const bench = createBench([disk("sda")], () => exited(report()));
    await bench.wait(10);
    expect(bench.calls).toHaveLength(1);
    await bench.wait(100);
    expect(bench.calls).toHaveLength(2);
    expect(bench.page()).toContain('smartctl_device_smartctl_exit_status{device="sda"} 0');
    expect(bench.page()).toContain("smartctl_devices 1\n");
  });

  test("an inventory that fails is tried again soon, then less often, and told once", async () => {
    const bench = createBench([disk("sda")], () => exited(report()));
    bench.inventoryFails = true;
    await bench.wait(8);
    expect(bench.inventories).toBe(4);
    await bench.wait(300);
    expect(bench.inventories).toBeLessThan(20);
    bench.inventoryFails = false;
    await bench.wait(35);
    expect(bench.calls).toHaveLength(1);
    expect(bench.lines.filter((line) => line.includes("disks can"))).toEqual([
      expect.stringContaining("disks cannot be listed"),
      expect.stringContaining("disks can be listed again"),
    ]);
  });

  test("the type that the first answer named is given with the next call", async () => {
    const bench = createBench([disk("sda")], () => exited(report({ type: "sat" })));
    await bench.wait(110);
    expect(bench.calls.map((args) => args.find((arg) => arg.startsWith("--device=")))).toEqual([
      "--device=auto",
      "--device=sat",
    ]);
  });

  test.each([
    ["a turning disk may sleep on", true, true],
    ["an SSD is always asked", false, false],
  ])("%s", async (_, rotational, expected) => {
    const bench = createBench([disk("sda", { rotational })], () => exited(report()));
    await bench.wait(10);
    expect(bench.calls[0]?.some((arg) => arg.startsWith("--nocheck"))).toBe(expected);
  });

  test("a disk that fails is asked less and less often, and says why", async () => {
    const bench = createBench([disk("sda")], () => exited(notOpened("Input/output error"), 2));
    await bench.wait(1000);
    expect(bench.calls.length).toBeLessThan(6);
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="open_failed"} 1');
    expect(bench.lines.filter((line) => line.includes("disk cannot be read"))).toHaveLength(1);
    expect(bench.lines.join()).toContain("Input/output error");
  });

  test("values of a disk that stopped answering are dropped after three intervals, with their age until then", async () => {
    const bench = createBench([disk("sda")], () => exited(report()));
    await bench.wait(10);
    bench.answer = () => ({ end: "deadline" });
    await bench.wait(150);
    expect(bench.page()).toContain('smartctl_device_smartctl_exit_status{device="sda"} 0');
    expect(bench.page()).toMatch(/aami_smart_last_success_timestamp_seconds\{device="sda"\} 10\d\d\n/);
    await bench.wait(300);
    expect(bench.page()).not.toContain("smartctl_device_smartctl_exit_status");
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="timeout"} 1');
  });

  test("a sleeping disk keeps its last values", async () => {
    const bench = createBench([disk("sda")], () => exited(report()));
    await bench.wait(10);
    bench.answer = () => exited(standby(), 3);
    await bench.wait(1000);
    expect(bench.page()).toContain("smartctl_device_smartctl_exit_status");
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="standby"} 1');
  });

  test("a dead disk that smartctl takes for asleep is not believed", async () => {
    const bench = createBench([disk("sda", { state: "offline" })], () => exited(standby("SLEEP"), 2));
    await bench.wait(10);
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="open_failed"} 1');
    await bench.wait(300);
    expect(bench.calls.at(-1)?.some((arg) => arg.startsWith("--nocheck"))).toBe(false);
  });

  test("nothing is sent to a controller that the kernel calls dead", async () => {
    const bench = createBench([disk("nvme0", { state: "dead", rotational: false })], () => exited(report()));
    await bench.wait(10);
    expect(bench.calls).toEqual([]);
    expect(bench.page()).toContain('aami_smart_device_state{device="nvme0",state="dead"} 1');
  });

  test("the death of a controller and its return are told at once, and nothing of before is shown meanwhile", async () => {
    const nvme = (state: string) => disk("nvme0", { state, rotational: false });
    const bench = createBench([nvme("live")], (path) => exited(report({ path })));
    await bench.wait(10);
    expect(bench.page()).toContain('smartctl_device_smartctl_exit_status{device="nvme0"} 0');
    bench.disks = [nvme("dead")];
    await bench.wait(35);
    expect(bench.page()).toContain('aami_smart_device_state{device="nvme0",state="dead"} 1');
    expect(bench.page()).not.toContain("smartctl_device_smartctl_exit_status");
    expect(bench.events.since(0).map(({ kind, severity }) => `${kind} ${severity}`)).toEqual(["disk_dead critical"]);
    bench.disks = [nvme("live")];
    await bench.wait(35);
    expect(bench.page()).toContain('aami_smart_device_state{device="nvme0",state="ok"} 1');
    expect(bench.page()).toContain('smartctl_device_smartctl_exit_status{device="nvme0"} 0');
  });
});

describe("disks come and go", () => {
  test("a vanished disk has no series and one line in the log, a new one is polled", async () => {
    const bench = createBench([disk("sda"), disk("sdb")], (path) => exited(report({ path })));
    await bench.wait(10);
    bench.disks = [disk("sda"), disk("sdc")];
    await bench.wait(60);
    expect(bench.page()).not.toContain('device="sdb"');
    expect(bench.page()).toContain('device="sdc"');
    expect(bench.lines.filter((line) => line.includes("disk has disappeared"))).toHaveLength(1);
  });

  test("disks behind a RAID controller come from smartctl's scan", async () => {
    const bench = createBench([], (path, args) =>
      exited(
        report({ path, type: args.find((arg) => arg.startsWith("--device="))?.replace("--device=", "sat+") ?? "" }),
      ),
    );
    bench.scan = JSON.stringify({
      smartctl: {},
      devices: [
        { name: "/dev/sda", type: "scsi" },
        { name: "/dev/bus/0", type: "megaraid,0" },
        { name: "/dev/bus/0", type: "megaraid,1" },
      ],
    });
    await bench.wait(10);
    expect(bench.page()).toContain('device="bus_0_sat+megaraid_0"');
    expect(bench.page()).toContain('device="bus_0_sat+megaraid_1"');
    expect(bench.page()).toContain("smartctl_devices 2\n");
  });

  test("two disks with one label are told apart", async () => {
    const bench = createBench([disk("sda"), disk("sdb")], () => exited(report({ path: "/dev/sg0", type: "cciss" })));
    await bench.wait(10);
    expect(bench.page().match(/smartctl_device\{[^}]*device="sg0[^"]*"/g)).toHaveLength(2);
    const series = bench
      .page()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(new Set(series.map((line) => line.replace(/ \S+$/, ""))).size).toBe(series.length);
  });
});

describe("what is shown of a disk", () => {
  const wwn = { naa: 5, oui: 3152, id: 12345 };
  const controller = JSON.stringify({
    smartctl: {},
    devices: [0, 1].map((number) => ({ name: "/dev/bus/0", type: `megaraid,${number}` })),
  });
  const typeOf = (args: readonly string[]): string =>
    args.find((arg) => arg.startsWith("--device="))?.replace("--device=", "") ?? "";

  test.each([
    ["by its WWN", { wwn }],
    ["by its serial number", { serial_number: "S1", model_name: "M" }],
  ])("a disk that a RAID controller passes through is shown once, as the kernel's (%s)", async (_name, fields) => {
    const bench = createBench([disk("sda")], (path, args) => exited(report({ path, type: typeOf(args), fields })));
    bench.scan = controller.replace(',{"name":"/dev/bus/0","type":"megaraid,1"}', "");
    await bench.wait(10);
    expect(bench.calls).toHaveLength(2);
    expect(bench.page()).toContain("smartctl_devices 1\n");
    expect(bench.page()).toContain('device="sda');
    expect(bench.page()).not.toContain("bus_0");
  });

  test.each([
    ["one disk over two paths is shown once", { logical_unit_id: "0x5000c500a1b2c3d4" }, 1],
    ["two disks with one serial number are two disks", { serial_number: "0123456789", model_name: "Bridge" }, 2],
  ])("%s", async (_name, fields, expected) => {
    const bench = createBench([disk("sdb"), disk("sda")], (path) => exited(report({ path, fields })));
    await bench.wait(10);
    expect(bench.page()).toContain(`smartctl_devices ${expected}\n`);
    expect(bench.page()).toContain('device="sda"');
  });

  test("a path that is lost is shown beside the one that still works", async () => {
    const fields = { logical_unit_id: "0x5000c500a1b2c3d4" };
    const bench = createBench([disk("sda"), disk("sdb")], (path) => exited(report({ path, fields })));
    await bench.wait(10);
    expect(bench.page()).not.toContain('device="sdb"');
    bench.answer = (path) => (path === "/dev/sda" ? { end: "deadline" } : exited(report({ path, fields })));
    await bench.wait(110);
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="timeout"} 1');
    expect(bench.page()).toContain('aami_smart_device_state{device="sdb",state="ok"} 1');
    expect(bench.page()).toContain('smartctl_device_smartctl_exit_status{device="sdb"} 0');
  });

  test("a RAID volume has no SMART and is not shown, an old disk without it is", async () => {
    const volume = { scsi_vendor: "DELL", scsi_product: "PERC H730 Mini" };
    const bench = createBench([disk("sda"), disk("sdb")], (path) =>
      exited(report({ path, type: "scsi", fields: path === "/dev/sda" ? volume : { scsi_vendor: "SEAGATE" } })),
    );
    await bench.wait(10);
    expect(bench.page()).not.toContain('device="sda');
    expect(bench.page()).toContain('device="sdb');
  });

  test("disks of one controller are asked one after the other", async () => {
    const bench = createBench([], (path, args) => exited(report({ path, type: typeOf(args) })));
    bench.scan = controller;
    await bench.wait(3);
    expect(new Set(bench.calls.map(([path]) => path))).toEqual(new Set(["/dev/bus/0"]));
    await bench.wait(10);
    expect(bench.calls).toHaveLength(2);
  });

  test("a scan without an answer makes no disk disappear", async () => {
    const bench = createBench([], (path, args) => exited(report({ path, type: typeOf(args) })));
    bench.scan = controller;
    await bench.wait(10);
    bench.scan = "garbage";
    await bench.wait(400);
    expect(bench.page()).toContain("smartctl_devices 2\n");
    expect(bench.page()).toContain("aami_smart_disappeared_disks_total 0\n");
  });

  test("nothing wakes a disk that the kernel has put to sleep", async () => {
    const bench = createBench([disk("sda", { suspended: true })], () => exited(report()));
    await bench.wait(300);
    expect(bench.calls).toEqual([]);
    expect(bench.page()).toContain('aami_smart_device_state{device="sda",state="standby"} 1');
    expect(bench.page()).toContain('aami_smart_device_power_mode{device="sda",mode="SUSPENDED"} 1');
  });

  test("power mode and namespaces", async () => {
    const mode = { power_mode: { ata_value: 255, name: "ACTIVE or IDLE" } };
    const bench = createBench([disk("nvme0", { namespaces: ["nvme0n1"] })], (path) =>
      exited(report({ path, fields: mode })),
    );
    await bench.wait(10);
    expect(bench.page()).toContain('aami_smart_nvme_namespace_info{device="nvme0",namespace="nvme0n1"} 1');
    expect(bench.page()).toContain('aami_smart_device_power_mode{device="nvme0",mode="ACTIVE or IDLE"} 1');
    bench.answer = () => ({ end: "deadline" });
    await bench.wait(110);
    expect(bench.page()).not.toContain("aami_smart_device_power_mode");
  });

  test("with keep_stale the last values stay for ever", async () => {
    const bench = createBench([disk("sda")], () => exited(report()));
    await bench.wait(10);
    bench.keepStale = true;
    bench.answer = () => ({ end: "deadline" });
    await bench.wait(5000);
    expect(bench.page()).toContain("smartctl_device_smartctl_exit_status");
  });
});

test("events tell when a disk vanishes, cannot be read any more, or says that it is failing", async () => {
  const health = (passed: boolean) => ({ fields: { smart_status: { passed } } });
  const bench = createBench([disk("sda"), disk("sdb")], (path) => exited(report({ path, ...health(true) })));
  const told = (): string[] => bench.events.since(0).map(({ kind, device }) => `${kind} ${device}`);
  await bench.wait(10);
  expect(told()).toEqual([]);
  bench.answer = (path) => exited(report({ path, ...health(path === "/dev/sdb") }));
  await bench.wait(300);
  expect(told()).toEqual(["disk_failing sda"]);
  bench.answer = () => ({ end: "deadline" });
  await bench.wait(150);
  expect(told().slice(1).sort()).toEqual(["disk_unreadable sda", "disk_unreadable sdb"]);
  bench.disks = [disk("sda")];
  await bench.wait(60);
  expect(told().slice(3)).toEqual(["disk_disappeared sdb"]);
  expect(bench.page()).toContain("aami_smart_disappeared_disks_total 1\n");
});
