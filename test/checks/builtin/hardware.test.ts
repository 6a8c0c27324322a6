import { describe, expect, test } from "bun:test";
import type { BuiltinCheck } from "../../../checks/builtin/builtin.ts";
import { infinibandPorts } from "../../../checks/builtin/infiniband.ts";
import { kernelLog } from "../../../checks/builtin/kernel-log.ts";
import { nvmeWear } from "../../../checks/builtin/nvme-wear.ts";
import { smartHealth } from "../../../checks/builtin/smart.ts";
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
      "MC0: uncorrected memory errors (last 2 h ago)",
    ],
    [
      "critical just now",
      event("nvme_timeout", "critical", { device: "nvme3", count: 4 }),
      "critical",
      "inspect_hardware",
      "nvme3: NVMe commands timed out (4 times, last 1 min ago)",
    ],
    [
      "critical, hours ago",
      event("nvme_timeout", "critical", { device: "nvme3", ago: 7200 }),
      "warning",
      "inspect_hardware",
      "nvme3: NVMe commands timed out (last 2 h ago)",
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
      "processes were killed for want of memory (last 1 min ago)",
    ],
    ["OOM hours ago", event("oom_kill", "warning", { ago: 7200 }), "ok", "none", "no trouble in the kernel log"],
    [
      "a hung task",
      event("hung_task", "critical", { eventClass: "kernel" }),
      "critical",
      "check_storage",
      "a task was blocked for minutes (last 1 min ago)",
    ],
    [
      "a machine check",
      event("machine_check", "warning", { device: "CPU 3", eventClass: "cpu" }),
      "warning",
      "inspect_hardware",
      "CPU 3: machine check events (last 1 min ago)",
    ],
    [
      "a link that is down",
      event("link_down", "warning", { device: "eth0", eventClass: "nic" }),
      "warning",
      "check_network",
      "eth0: link down (last 1 min ago)",
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
      "filer: the NFS server does not respond (last 1 min ago)",
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
  const port = { device: "mlx5_0", port: "1" };
  const look = (state: number, { gbps = 400, losses = 0 } = {}): Families => ({
    node_infiniband_state_id: [[port, state]],
    node_infiniband_rate_bytes_per_second: [[port, gbps * 125_000_000]],
    node_infiniband_link_downed_total: [[port, losses]],
  });
  const up = look(4);
  const down = look(1);

  /** Looks at these seconds after noon; the verdict of the last one. */
  const after = (looks: readonly (readonly [number, Families])[], parameters = {}): Verdict => {
    let memory: unknown;
    let verdict: Verdict | undefined;
    for (const [second, families] of looks) {
      const options = { memory, parameters, nowSeconds: noon + second };
      verdict = verdictOf(infinibandPorts, families, options);
      memory = grade(infinibandPorts, families, options).memory;
    }
    if (verdict === undefined) throw new Error("no look");
    return verdict;
  };

  test("an active port is well, one that was never active is not missed", () => {
    expect(after([[0, up]])).toMatchObject({ status: "ok", summary: "1 of 1 port active" });
    expect(
      after([
        [0, down],
        [9000, down],
      ]),
    ).toMatchObject({ status: "ok", summary: "0 of 1 port active" });
  });

  test("down for a moment is a warning, for four minutes critical", () => {
    const lost = look(1, { losses: 1 });
    expect(
      after([
        [0, up],
        [30, lost],
      ]),
    ).toMatchObject({ status: "warning", summary: "mlx5_0/1: down for 0 s" });
    expect(
      after([
        [0, up],
        [30, lost],
        [269, lost],
      ]).status,
    ).toBe("warning");
    expect(
      after([
        [0, up],
        [30, lost],
        [270, lost],
      ]),
    ).toMatchObject({
      status: "critical",
      action: "check_network",
      summary: "mlx5_0/1: down for 4 min",
    });
  });

  test("a drop: down, and the port has counted nothing", () => {
    expect(
      after([
        [0, up],
        [30, down],
        [270, down],
      ]),
    ).toMatchObject({
      status: "critical",
      action: "inspect_hardware",
      summary: "mlx5_0/1: down for 4 min, and the port has counted no loss of the link",
    });
  });

  test("back again is shown for ten minutes", () => {
    expect(
      after([
        [0, up],
        [30, down],
        [300, up],
        [600, up],
      ]),
    ).toMatchObject({ status: "warning", action: "none" });
    expect(
      after([
        [0, up],
        [30, down],
        [300, up],
        [901, up],
      ]).status,
    ).toBe("ok");
  });

  test("three losses within hours are flapping, seen or only counted", () => {
    const seen = [
      [0, up],
      [60, down],
      [120, up],
      [180, down],
      [240, up],
      [300, down],
      [360, up],
    ] as const;
    const flapping = "mlx5_0/1: has lost its link 3 times within 12 h";
    expect(after(seen)).toMatchObject({ status: "warning", action: "inspect_hardware", summary: flapping });
    expect(
      after([
        [0, up],
        [30, look(4, { losses: 3 })],
      ]),
    ).toMatchObject({ status: "warning", summary: flapping });
    expect(
      after([
        [0, up],
        [30, look(4, { losses: 2 })],
      ]).status,
    ).toBe("ok");
    expect(
      after([
        [0, up],
        [30, look(4, { losses: 3 })],
        [50_000, look(4, { losses: 3 })],
      ]).status,
    ).toBe("ok");
  });

  test("what the collector that looks more often has seen counts", () => {
    const { memory } = grade(infinibandPorts, up);
    const seen = (family: string) => ({ memory, nowSeconds: noon + 30, companion: { [family]: [[port, 1]] } }) as const;
    expect(verdictOf(infinibandPorts, down, seen("aami_infiniband_link_dropped")).status).toBe("critical");
    expect(verdictOf(infinibandPorts, up, seen("aami_infiniband_link_flapping"))).toMatchObject({
      status: "warning",
      summary: "mlx5_0/1: loses its link and comes back again and again",
    });
  });

  test("a counter that starts anew is no loss", () => {
    expect(
      after([
        [0, look(4, { losses: 9 })],
        [30, look(4, { losses: 0 })],
      ]).status,
    ).toBe("ok");
  });

  test("slower than before is a warning", () => {
    expect(
      after([
        [0, up],
        [30, look(4, { gbps: 200 })],
      ]),
    ).toMatchObject({
      status: "warning",
      summary: "mlx5_0/1: runs at 200 of 400 Gb/s",
    });
  });

  test("a port that is gone is critical for a day", () => {
    const gone = { node_infiniband_state_id: [] };
    expect(
      after([
        [0, up],
        [30, gone],
        [90, gone],
      ]),
    ).toMatchObject({
      status: "critical",
      summary: "mlx5_0/1: gone for 1 min",
    });
    expect(
      after([
        [0, up],
        [30, gone],
        [90_000, gone],
      ]).status,
    ).toBe("ok");
  });

  test("expected ports have to be there, at their rate", async () => {
    const parameters = { expected_ports: 1, expected_rate_gbps: 400 };
    expect(after([[0, up]], parameters).status).toBe("ok");
    expect(after([[0, look(4, { gbps: 200 })]], parameters)).toMatchObject({
      status: "critical",
      summary: "0 of 1 expected port active at 400 Gb/s",
    });
    const absent = { state: "absent", reason: "no InfiniBand or RoCE device" } as const;
    expect((await runWith(infinibandPorts, absent, parameters)).verdict?.status).toBe("critical");
    expect((await runWith(infinibandPorts, absent)).outcome).toBe("absent");
  });

  test("ignored ports and devices are not judged", () => {
    for (const ignore of [["mlx5_0"], ["mlx5_0/1"]]) {
      expect(
        after(
          [
            [0, up],
            [30, down],
            [900, down],
          ],
          { ignore },
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
