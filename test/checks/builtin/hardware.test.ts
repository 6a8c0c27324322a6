import { describe, expect, test } from "bun:test";
import type { BuiltinCheck } from "../../../checks/builtin/builtin.ts";
import { infinibandPorts } from "../../../checks/builtin/infiniband.ts";
import { kernelLog } from "../../../checks/builtin/kernel-log.ts";
import { nvmeWear } from "../../../checks/builtin/nvme-wear.ts";
import { smartHealth } from "../../../checks/builtin/smart.ts";
import { createEventLog } from "../../../collectors/events.ts";
import { createLinkWatch } from "../../../collectors/infiniband-link/watch.ts";
import { silentLogger } from "../../../runtime/log.ts";
import type { Verdict } from "../../../checks/verdict.ts";
import { type Families, grade, noon, runWith, verdictOf } from "./grading.ts";

const event = (
  id: string,
  severity: string,
  { ago = 60, device = "", eventClass = "disk", count = 1 } = {},
): Families => {
  const labels = { event: id, class: eventClass, severity, device };
  return {
    aami_kernel_log_events_total: [[labels, count]],
    aami_kernel_log_last_event_timestamp_seconds: [[labels, noon - ago]],
  };
};
const join = (...all: readonly Families[]): Families => {
  const names = [...new Set(all.flatMap((families) => Object.keys(families)))];
  const seriesOf = (families: Families, name: string) => {
    const given = families[name] ?? [];
    return typeof given === "number" ? [[{}, given] as const] : given;
  };
  return Object.fromEntries(names.map((name) => [name, all.flatMap((families) => seriesOf(families, name))]));
};

describe("kernel_log", () => {
  const nfs = { device: "filer", eventClass: "mount" };
  test.each([
    ["nothing", {}, "ok", "none", "no trouble in the kernel log"],
    [
      "fatal, hours ago",
      event("memory_uncorrected", "fatal", { ago: 7200, device: "MC0", eventClass: "memory" }),
      "critical",
      "inspect_hardware",
      "MC0: uncorrected memory errors (last at 2026-11-20 10:00:00 UTC)",
    ],
    [
      "critical just now",
      event("nvme_timeout", "critical", { device: "nvme3", count: 4 }),
      "critical",
      "inspect_hardware",
      "nvme3: NVMe commands timed out (4 times, last at 2026-11-20 11:59:00 UTC)",
    ],
    [
      "critical, hours ago",
      event("nvme_timeout", "critical", { device: "nvme3", ago: 7200 }),
      "warning",
      "inspect_hardware",
      "nvme3: NVMe commands timed out (last at 2026-11-20 10:00:00 UTC)",
    ],
    [
      "critical, days ago",
      event("nvme_timeout", "critical", { ago: 200_000 }),
      "ok",
      "none",
      "no trouble in the kernel log",
    ],
    [
      "OOM just now",
      event("oom_kill", "warning", { eventClass: "memory" }),
      "warning",
      "check_application",
      "processes were killed for want of memory (last at 2026-11-20 11:59:00 UTC)",
    ],
    ["OOM hours ago", event("oom_kill", "warning", { ago: 7200 }), "ok", "none", "no trouble in the kernel log"],
    [
      "a hung task",
      event("hung_task", "critical", { eventClass: "kernel" }),
      "critical",
      "check_storage",
      "a task was blocked for minutes (last at 2026-11-20 11:59:00 UTC)",
    ],
    [
      "a machine check",
      event("machine_check", "warning", { device: "CPU 3", eventClass: "cpu" }),
      "warning",
      "inspect_hardware",
      "CPU 3: machine check events (last at 2026-11-20 11:59:00 UTC)",
    ],
    [
      "a link that is down",
      event("link_down", "warning", { device: "eth0", eventClass: "nic" }),
      "warning",
      "check_network",
      "eth0: link down (last at 2026-11-20 11:59:00 UTC)",
    ],
    [
      "a link that is up again",
      join(
        event("link_down", "warning", { device: "eth0", ago: 90 }),
        event("link_up", "info", { device: "eth0", ago: 80 }),
      ),
      "ok",
      "none",
      "no trouble in the kernel log",
    ],
    [
      "a server that is back",
      join(
        event("nfs_not_responding", "critical", { ...nfs, ago: 90 }),
        event("nfs_responding", "info", { ...nfs, ago: 10 }),
      ),
      "ok",
      "none",
      "no trouble in the kernel log",
    ],
    [
      "another server that is back",
      join(
        event("nfs_not_responding", "critical", { ...nfs, ago: 90 }),
        event("nfs_responding", "info", { device: "other", ago: 10 }),
      ),
      "critical",
      "check_storage",
      "filer: the NFS server does not respond (last at 2026-11-20 11:58:30 UTC)",
    ],
  ] as const)("%s", (_what, families, status, action, summary) => {
    expect(verdictOf(kernelLog, families)).toMatchObject({ status, action, summary });
  });

  test("ignored kinds are not judged", () => {
    const parameters = { ignore: ["oom_kill"] };
    expect(verdictOf(kernelLog, event("oom_kill", "warning"), { parameters }).status).toBe("ok");
  });
});

describe("infiniband", () => {
  interface Look {
    readonly state?: number | undefined;
    readonly physicalState?: number;
    readonly linkDowned?: number;
    readonly gbps?: number;
  }
  const up: Look = {};
  const down: Look = { state: 1, physicalState: 2 };
  const lost: Look = { ...down, linkDowned: 1 };
  const gone = undefined;

  /** Looks at these seconds after noon, by the collector that remembers; the verdict of the last one. */
  const after = async (looks: readonly (readonly [number, Look | undefined])[], parameters = {}): Promise<Verdict> => {
    let now = noon * 1000;
    let look: Look | undefined;
    const watch = createLinkWatch({
      rules: { dropAfterMs: 240_000, flapDownMs: 25_000, flapWindowMs: 12 * 3_600_000, flapCount: 3 },
      isWatched: () => true,
      lister: {
        list: async () => {
          if (look === undefined) return [];
          const { physicalState = 5, linkDowned = 0 } = look;
          return [{ device: "mlx5_0", port: "1", state: "state" in look ? look.state : 4, physicalState, linkDowned }];
        },
        close: () => {},
      },
      bootId: "boot-1",
      events: createEventLog({ log: silentLogger }),
      log: silentLogger,
      now: () => now,
    });
    const port = { device: "mlx5_0", port: "1" };
    let memory: unknown;
    let verdict: Verdict | undefined;
    for (const [second, next] of looks) {
      now = (noon + second) * 1000;
      look = next;
      await watch.look();
      const families: Families = Object.fromEntries(
        watch
          .families()
          .map(({ name, samples }) => [name, samples.map(({ labels, value }) => [labels, value] as const)]),
      );
      const companion: Families =
        next === undefined
          ? {}
          : {
              node_infiniband_rate_bytes_per_second: [[port, (next.gbps ?? 400) * 125_000_000]],
              node_infiniband_physical_state_id: [[port, next.physicalState ?? 5]],
            };
      const options = { memory, parameters, nowSeconds: noon + second, companion };
      verdict = verdictOf(infinibandPorts, families, options);
      memory = grade(infinibandPorts, families, options).memory;
    }
    if (verdict === undefined) throw new Error("no look");
    return verdict;
  };
  const name = "mlx5_0/1";

  test.each<[string, readonly (readonly [number, Look | undefined])[], string, string]>([
    ["an active port", [[0, up]], "ok none", "1 of 1 port active"],
    [
      "one that was never active",
      [
        [0, down],
        [9000, down],
      ],
      "ok none",
      "0 of 1 port active",
    ],
    [
      "down for a moment",
      [
        [0, up],
        [30, lost],
      ],
      "warning check_network",
      `${name}: down since 2026-11-20 12:00:30 UTC`,
    ],
    [
      "down for four minutes",
      [
        [0, up],
        [30, lost],
        [60, { ...lost, linkDowned: 2 }],
        [270, { ...lost, linkDowned: 2 }],
      ],
      "critical check_network",
      `${name}: down since 2026-11-20 12:00:30 UTC`,
    ],
    [
      "a drop",
      [
        [0, up],
        [30, down],
        [270, down],
      ],
      "critical inspect_hardware",
      `${name}: down since 2026-11-20 12:00:30 UTC, and the port has counted no loss of the link`,
    ],
    [
      "no subnet manager",
      [
        [0, up],
        [30, { state: 2 }],
        [270, { state: 2 }],
      ],
      "critical check_network",
      `${name}: down since 2026-11-20 12:00:30 UTC: there is a link, and no subnet manager has made it active`,
    ],
    [
      "switched off",
      [
        [0, up],
        [30, { state: 1, physicalState: 3 }],
        [900, { state: 1, physicalState: 3 }],
      ],
      "warning check_configuration",
      `${name}: down since 2026-11-20 12:00:30 UTC, switched off by an administrator`,
    ],
    [
      "back again",
      [
        [0, up],
        [30, down],
        [300, down],
        [330, up],
        [600, up],
      ],
      "warning none",
      `${name}: has lost its link at 2026-11-20 12:05:30 UTC and come back`,
    ],
    [
      "back for ten minutes",
      [
        [0, up],
        [30, down],
        [300, down],
        [330, up],
        [930, up],
      ],
      "ok none",
      "1 of 1 port active",
    ],
    [
      "flapping, seen",
      [
        [0, up],
        [60, down],
        [90, down],
        [120, up],
        [180, down],
        [210, down],
        [240, up],
        [300, down],
        [330, down],
        [360, up],
      ],
      "warning inspect_hardware",
      `${name}: has lost its link 3 times within hours, last at 2026-11-20 12:06:00 UTC`,
    ],
    [
      "flapping, only counted",
      [
        [0, up],
        [30, { linkDowned: 3 }],
      ],
      "warning inspect_hardware",
      `${name}: has lost its link 3 times within hours`,
    ],
    [
      "lost twice, hours ago",
      [
        [0, up],
        [30, { linkDowned: 2 }],
        [5000, { linkDowned: 2 }],
      ],
      "ok none",
      "1 of 1",
    ],
    [
      "flapping, yesterday",
      [
        [0, up],
        [30, { linkDowned: 3 }],
        [50_000, { linkDowned: 3 }],
      ],
      "ok none",
      "1 of 1",
    ],
    [
      "a counter that starts anew",
      [
        [0, { linkDowned: 9 }],
        [30, { linkDowned: 0 }],
      ],
      "ok none",
      "1 of 1",
    ],
    [
      "slower than before",
      [
        [0, up],
        [30, { gbps: 200 }],
      ],
      "warning check_network",
      `${name}: runs at 200 of 400 Gb/s`,
    ],
    [
      "gone",
      [
        [0, up],
        [30, gone],
        [90, gone],
      ],
      "critical inspect_hardware",
      `${name}: gone since 2026-11-20 12:00:30 UTC`,
    ],
    [
      "gone for a day",
      [
        [0, up],
        [30, gone],
        [90_000, gone],
      ],
      "ok none",
      "0 of 0 ports active",
    ],
    [
      "not to be read",
      [
        [0, up],
        [30, { state: undefined }],
      ],
      "unknown none",
      `${name}: its state cannot be read`,
    ],
  ])("%s", async (_what, looks, expected, summary) => {
    const verdict = await after(looks);
    expect(`${verdict.status} ${verdict.action}`).toBe(expected);
    expect(verdict.summary).toStartWith(summary);
  });

  test("expected ports have to be there, at their rate", async () => {
    const parameters = { expected_ports: 1, expected_rate_gbps: 400 };
    expect((await after([[0, up]], parameters)).status).toBe("ok");
    expect(await after([[0, { gbps: 200 }]], parameters)).toMatchObject({
      status: "critical",
      summary: "0 of 1 expected port active at 400 Gb/s",
    });
    expect(await after([[0, { gbps: 200 }]], { expected_ports: 1 })).toMatchObject({ status: "ok" });
    const absent = { state: "absent", reason: "no InfiniBand or RoCE device" } as const;
    expect((await runWith(infinibandPorts, absent, parameters)).verdict?.status).toBe("critical");
    expect((await runWith(infinibandPorts, absent)).outcome).toBe("absent");
  });

  test("a rate that cannot be read is unknown, not too low", () => {
    const labels = { device: "mlx5_0", port: "1" };
    const families: Families = {
      aami_infiniband_link_expected: [[labels, 1]],
      aami_infiniband_link_up: [[labels, 1]],
    };
    const parameters = { expected_ports: 1, expected_rate_gbps: 400 };
    expect(verdictOf(infinibandPorts, families, { parameters })).toMatchObject({
      status: "unknown",
      summary: "the rate of 1 port cannot be read",
    });
  });

  test("ignored ports and devices are not judged", async () => {
    for (const ignore of [["mlx5_0"], ["mlx5_0/1"]]) {
      expect(
        (
          await after(
            [
              [0, up],
              [30, down],
              [900, down],
            ],
            { ignore },
          )
        ).status,
      ).toBe("ok");
    }
  });
});

describe("smart", () => {
  const disk = { device: "sda" };
  const state = (name: string): Families => ({ aami_smart_device_state: [[{ ...disk, state: name }, 1]] });
  const pending = (value: number): Families =>
    join(state("ok"), {
      smartctl_device_attribute: [[{ ...disk, attribute_id: "197", attribute_value_type: "raw" }, value]],
    });
  test.each([
    ["a good disk", join(state("ok"), { smartctl_device_smart_status: [[disk, 1]] }), "ok", "1 disk without complaint"],
    ["a sleeping disk", state("standby"), "ok", "1 disk without complaint"],
    [
      "a failing disk",
      join(state("ok"), { smartctl_device_smart_status: [[disk, 0]] }),
      "critical",
      "sda: the disk calls itself failing",
    ],
    [
      "failing by exit status only",
      join(state("ok"), { smartctl_device_smartctl_exit_status: [[disk, 8]] }),
      "critical",
      "sda: the disk calls itself failing",
    ],
    [
      "an attribute below its threshold",
      join(state("ok"), { smartctl_device_smartctl_exit_status: [[disk, 16]] }),
      "critical",
      "sda: an attribute is below its threshold",
    ],
    [
      "an attribute that was",
      join(state("ok"), { smartctl_device_smartctl_exit_status: [[disk, 32]] }),
      "warning",
      "sda: an attribute was below its threshold once",
    ],
    [
      "a failed self-test",
      join(state("ok"), { smartctl_device_smartctl_exit_status: [[disk, 128]] }),
      "warning",
      "sda: a self-test has found errors",
    ],
    [
      "no error log",
      join(state("ok"), { smartctl_device_smartctl_exit_status: [[disk, 4]] }),
      "ok",
      "1 disk without complaint",
    ],
    [
      "an NVMe warning",
      join(state("ok"), { smartctl_device_critical_warning: [[disk, 5]] }),
      "critical",
      "sda: spare capacity is low; reliability is degraded",
    ],
    [
      "a hot NVMe",
      join(state("ok"), { smartctl_device_critical_warning: [[disk, 2]] }),
      "warning",
      "sda: temperature is out of range",
    ],
    ["old bad sectors", pending(8), "ok", "1 disk without complaint"],
    ["a dead controller", state("dead"), "critical", "sda: the kernel has given the controller up"],
    ["smartctl hangs", state("stuck"), "unknown", "sda: smartctl gives no answer (stuck)"],
    ["smartctl may not", state("open_failed"), "unknown", "sda: smartctl gives no answer (open failed)"],
  ])("%s", (_what, families, status, summary) => {
    expect(verdictOf(smartHealth, families)).toMatchObject({ status, summary });
  });

  test("bad sectors that grow are a warning for a day", () => {
    let { memory } = grade(smartHealth, pending(8), { nowSeconds: noon });
    const grown = { memory, nowSeconds: noon + 600 };
    expect(verdictOf(smartHealth, pending(9), grown)).toMatchObject({
      status: "warning",
      action: "inspect_hardware",
      summary: "sda: pending sectors have grown to 9",
    });
    memory = grade(smartHealth, pending(9), grown).memory;
    expect(verdictOf(smartHealth, pending(9), { memory, nowSeconds: noon + 80_000 }).status).toBe("warning");
    expect(verdictOf(smartHealth, pending(9), { memory, nowSeconds: noon + 90_000 }).status).toBe("ok");
  });

  test("a disk that was taken out, changed or is ignored has no grown counters", () => {
    const { memory } = grade(smartHealth, pending(8), { nowSeconds: noon });
    const grown = grade(smartHealth, pending(9), { memory, nowSeconds: noon + 600 });
    expect(grown.findings).toHaveLength(1);
    const later = { memory: grown.memory, nowSeconds: noon + 700 };
    const other: Families = { aami_smart_device_state: [[{ device: "sdb", state: "ok" }, 1]] };
    expect(verdictOf(smartHealth, other, later).status).toBe("ok");
    expect(verdictOf(smartHealth, join(pending(9), other), { ...later, parameters: { ignore: ["sda"] } }).status).toBe(
      "ok",
    );
    const of = (serial: string): Families => ({ smartctl_device: [[{ ...disk, serial_number: serial }, 1]] });
    const before = grade(smartHealth, join(pending(1), of("S1")), { nowSeconds: noon }).memory;
    const changed = { memory: before, nowSeconds: noon + 600 };
    expect(verdictOf(smartHealth, join(pending(7), of("S2")), changed).status).toBe("ok");
    expect(verdictOf(smartHealth, join(pending(7), of("S1")), changed).status).toBe("warning");
    // One that does not answer now is the same disk.
    const seen = grade(smartHealth, join(pending(7), of("S1")), changed).memory;
    const silent = { memory: seen, nowSeconds: noon + 700 };
    expect(verdictOf(smartHealth, state("timeout"), silent)).toMatchObject({ status: "warning" });
  });

  test("no disk, no check; ignored disks are none", () => {
    expect(grade(smartHealth, {}).absent).toBe("no disk with SMART");
    expect(grade(smartHealth, state("stuck"), { parameters: { ignore: ["sda"] } }).absent).toBeDefined();
  });
});

describe("nvme_wear", () => {
  const disk = { device: "nvme0" };
  const used = (value: number): Families => ({ smartctl_device_percentage_used: [[disk, value]] });
  test.each([
    ["a young disk", used(7), "ok", "1 disk, the most used at 7 %"],
    ["an old disk", used(93), "warning", "nvme0: 93 % of its endurance used"],
    ["a worn disk", used(104), "critical", "nvme0: 104 % of its endurance used"],
    [
      "no spare blocks",
      join(used(7), {
        smartctl_device_available_spare: [[disk, 4]],
        smartctl_device_available_spare_threshold: [[disk, 10]],
      }),
      "critical",
      "nvme0: 4 % of its spare blocks left, less than its threshold of 10 %",
    ],
  ])("%s", (_what, families, status, summary) => {
    expect(verdictOf(nvmeWear, families)).toMatchObject({ status, summary });
  });

  test("without NVMe there is no check", () => {
    expect(grade(nvmeWear, {}).absent).toBe("no NVMe disk that tells its wear");
  });
});

test.each(
  [infinibandPorts, kernelLog, nvmeWear, smartHealth].map((check): [string, BuiltinCheck] => [check.name, check]),
)("%s is unknown when its source failed", async (_name, check) => {
  const { verdict } = await runWith(check, { state: "failed", reason: "EIO" });
  expect(verdict).toMatchObject({ status: "unknown", action: "none" });
});
