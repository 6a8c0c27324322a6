import { describe, expect, test } from "bun:test";
import { amdGpuCount } from "../../../checks/builtin/amd/count.ts";
import { amdGpuErrors } from "../../../checks/builtin/amd/errors.ts";
import { amdGpuMemory } from "../../../checks/builtin/amd/memory.ts";
import { amdGpuTemperature } from "../../../checks/builtin/amd/temperature.ts";
import { amdGpuThrottling } from "../../../checks/builtin/amd/throttling.ts";
import type { BuiltinCheck } from "../../../checks/builtin/builtin.ts";
import { kernelLog } from "../../../checks/builtin/kernel-log.ts";
import type { Verdict } from "../../../checks/verdict.ts";
import { type Families, grade, noon, runWith, verdictOf } from "./grading.ts";

/** GPUs in these states, and series of the first. */
function gpus(states: readonly string[], series: Readonly<Record<string, number>> = {}): Families {
  const labels = (index: number) => ({ gpu_id: String(index), pci_bus_id: `0000:0${index + 1}:00.0` });
  const all = states.flatMap((is, index) =>
    ["ok", "suspended", "unreadable"].map((state) => [{ ...labels(index), state }, Number(state === is)] as const),
  );
  const own = Object.entries(series).map(([key, value]): [string, Families[string]] => {
    const [family = "", ...more] = key.split(" ");
    const further = Object.fromEntries(more.map((pair) => pair.split("=") as [string, string]));
    return [family, [[{ gpu_id: "0", ...further }, value]]];
  });
  return { aami_amd_gpu_state: all, ...Object.fromEntries(own) };
}
const first = "AMD GPU 0 (0000:01:00.0)";

/** Looks at these seconds after noon; the verdict of the last one. */
function after(
  check: BuiltinCheck,
  looks: readonly (readonly [second: number, families: Families, bootId?: string])[],
): Verdict {
  let memory: unknown;
  let verdict: Verdict | undefined;
  for (const [second, families, bootId = "boot-1"] of looks) {
    const options = { memory, bootId, nowSeconds: noon + second };
    verdict = verdictOf(check, families, options);
    memory = grade(check, families, options).memory;
  }
  if (verdict === undefined) throw new Error("no look");
  return verdict;
}

describe("amd_gpu_count", () => {
  const silent = gpus(["unreadable", "ok"]);
  test("all there, also asleep", () => {
    expect(verdictOf(amdGpuCount, gpus(["ok", "suspended"]))).toMatchObject({ status: "ok", summary: "2 GPUs there" });
  });

  test("one that cannot be read is unknown, after five minutes critical, and well when it is back", () => {
    expect(after(amdGpuCount, [[0, silent]])).toMatchObject({ status: "unknown", action: "none" });
    expect(
      after(amdGpuCount, [
        [0, silent],
        [299, silent],
      ]).status,
    ).toBe("unknown");
    expect(
      after(amdGpuCount, [
        [0, silent],
        [300, silent],
      ]),
    ).toMatchObject({
      status: "critical",
      action: "reboot",
      summary: `${first}: has not been read since 2026-11-20 12:00:00 UTC`,
    });
    expect(
      after(amdGpuCount, [
        [0, silent],
        [30, gpus(["ok", "ok"])],
        [600, silent],
      ]).status,
    ).toBe("unknown");
  });

  test("fewer than before, or than expected", async () => {
    const two = gpus(["ok", "ok"]);
    expect(
      after(amdGpuCount, [
        [0, two],
        [60, gpus(["ok"])],
      ]),
    ).toMatchObject({
      status: "warning",
      summary: "1 GPU, there have been 2",
    });
    expect(verdictOf(amdGpuCount, two, { parameters: { expected_gpus: 8 } })).toMatchObject({
      status: "critical",
      summary: "2 of 8 GPUs",
    });
    const absent = { state: "absent", reason: "no GPU of the amdgpu driver" } as const;
    expect((await runWith(amdGpuCount, absent)).outcome).toBe("absent");
    expect((await runWith(amdGpuCount, absent, { expected_gpus: 8 })).verdict?.status).toBe("critical");
  });
});

describe("amd_gpu_memory", () => {
  const errors = (uncorrected: number, more: Readonly<Record<string, number>> = {}): Families =>
    gpus(["ok"], { gpu_ecc_uncorrect_total: uncorrected, ...more });
  const pages = (state: string): Families => errors(0, { [`aami_amd_gpu_bad_pages state=${state}`]: 2 });
  test.each([
    ["no error", errors(0, { gpu_ecc_correct_total: 900 }), "ok", "none", "1 GPU without new memory errors"],
    [
      "an error",
      errors(1),
      "critical",
      "reset_gpu",
      `${first}: 1 uncorrected memory error since the driver was loaded`,
    ],
    [
      "deferred",
      errors(0, { gpu_ecc_deferred_total: 3 }),
      "warning",
      "reset_gpu",
      `${first}: 3 deferred memory errors`,
    ],
    ["retired", pages("retired"), "ok", "none", "1 GPU without"],
    ["pending", pages("pending"), "warning", "reset_gpu", `${first}: 2 bad pages will be taken out of use`],
    ["fault", pages("fault"), "critical", "inspect_hardware", `${first}: 2 bad pages could not be taken out of use`],
  ] as const)("%s", (_what, families, status, action, summary) => {
    const verdict = verdictOf(amdGpuMemory, families);
    expect(verdict).toMatchObject({ status, action });
    expect(verdict.summary).toStartWith(summary);
  });

  test("an error is a finding for a day, and again when there are more", () => {
    expect(
      after(amdGpuMemory, [
        [0, errors(1)],
        [90_000, errors(1)],
      ]).status,
    ).toBe("ok");
    expect(
      after(amdGpuMemory, [
        [0, errors(1)],
        [90_000, errors(2)],
      ]).status,
    ).toBe("critical");
    // Counters start anew with the driver.
    expect(
      after(amdGpuMemory, [
        [0, errors(5)],
        [90_000, errors(2)],
      ]).status,
    ).toBe("critical");
    expect(
      after(amdGpuMemory, [
        [0, errors(5)],
        [90_000, errors(0)],
      ]).status,
    ).toBe("ok");
  });

  test("a GPU that tells nothing, or cannot be read, is not judged", () => {
    expect(grade(amdGpuMemory, gpus(["ok"])).absent).toBe("no AMD GPU that tells of memory errors");
    expect(grade(amdGpuMemory, gpus(["unreadable"], { gpu_ecc_uncorrect_total: 1 })).absent).toBeDefined();
  });
});

describe("amd_gpu_temperature", () => {
  const at = (celsius: number): Families =>
    gpus(["ok"], {
      gpu_junction_temperature: celsius,
      "aami_amd_gpu_temperature_threshold_celsius sensor=junction threshold=critical": 100,
    });
  const withEmergency = (celsius: number): Families => ({
    ...at(celsius),
    aami_amd_gpu_temperature_threshold_celsius: [
      [{ gpu_id: "0", sensor: "junction", threshold: "critical" }, 100],
      [{ gpu_id: "0", sensor: "junction", threshold: "emergency" }, 105],
    ],
  });
  test.each([
    ["cool", at(60), "ok", "1 GPU cool enough"],
    ["hot", at(100), "warning", `${first}: 100 °C at its hottest spot, it slows down at 100 °C`],
    [
      "about to switch off",
      withEmergency(104),
      "critical",
      `${first}: 104 °C at its hottest spot, it switches itself off`,
    ],
    ["without limits", gpus(["ok"], { gpu_edge_temperature: 120 }), "ok", "1 GPU cool enough"],
  ] as const)("%s", (_what, families, status, summary) => {
    const verdict = verdictOf(amdGpuTemperature, families);
    expect(verdict.status).toBe(status);
    expect(verdict.summary).toStartWith(summary);
  });

  test("a GPU without sensors is not judged", () => {
    expect(grade(amdGpuTemperature, gpus(["ok"])).absent).toBe("no AMD GPU that tells its temperature");
  });
});

describe("amd_gpu_throttling", () => {
  const counted = (ticks: number, hot: number, power = 0): Families =>
    gpus(["ok"], {
      gpu_current_accumulated_counter: ticks,
      gpu_violation_socket_thermal_residency_accumulated: hot,
      gpu_violation_hbm_thermal_residency_accumulated: 0,
      gpu_violation_ppt_residency_accumulated: power,
    });
  test.each([
    [
      "never",
      [
        [0, counted(1000, 50)],
        [300, counted(2000, 50, 900)],
      ],
      "ok",
      "1 GPU not held back by heat",
    ],
    [
      "not long enough to say",
      [
        [0, counted(1000, 0)],
        [60, counted(2000, 1000)],
      ],
      "ok",
      "1 GPU not",
    ],
    [
      "now and then",
      [
        [0, counted(1000, 0)],
        [300, counted(2000, 300)],
      ],
      "warning",
      `${first}: held back for 30 % of the last 5 minutes: the GPU is too hot`,
    ],
    [
      "most of the time",
      [
        [0, counted(1000, 0)],
        [300, counted(2000, 700)],
      ],
      "critical",
      `${first}: held back for 70 %`,
    ],
    [
      "before the window",
      [
        [0, counted(1000, 0)],
        [300, counted(2000, 900)],
        [900, counted(3000, 900)],
      ],
      "ok",
      "1 GPU",
    ],
    [
      "counters that start anew",
      [
        [0, counted(9000, 9000)],
        [300, counted(100, 90)],
      ],
      "ok",
      "1 GPU not",
    ],
  ] as const)("%s", (_what, looks, status, summary) => {
    const verdict = after(amdGpuThrottling, looks);
    expect(verdict.status).toBe(status);
    expect(verdict.summary).toStartWith(summary);
  });

  test("a firmware that does not tell causes apart is not judged", () => {
    const families = gpus(["ok"], { aami_amd_gpu_throttled: 1 });
    expect(grade(amdGpuThrottling, families).absent).toBe("no AMD GPU that tells why it is held back");
  });
});

describe("amd_gpu_errors", () => {
  const log = (...events: readonly (readonly [event: string, ago: number, severity?: string])[]): Families => {
    const series = events.map(([event, ago, severity = "critical"]) => {
      return { labels: { event, class: "gpu", severity, device: "0000:03:00.0" }, ago };
    });
    return {
      aami_kernel_log_events_total: series.map(({ labels }) => [labels, 1]),
      aami_kernel_log_last_event_timestamp_seconds: series.map(({ labels, ago }) => [labels, noon - ago]),
    };
  };
  const gpu = "AMD GPU 0000:03:00.0";
  test.each([
    ["nothing", log(), "ok none", "no reset or error"],
    [
      "a reset that goes on",
      log(["amdgpu_reset", 20]),
      "warning none",
      `${gpu}: it is being reset; at 2026-11-20 11:59:40 UTC`,
    ],
    [
      "a reset that does not end",
      log(["amdgpu_reset", 600]),
      "critical reboot",
      `${gpu}: its reset has not come to an end`,
    ],
    [
      "a reset that succeeded",
      log(["amdgpu_reset", 600], ["amdgpu_reset_succeeded", 590, "info"]),
      "warning check_application",
      `${gpu}: the driver has reset it; at 2026-11-20 11:50:00 UTC`,
    ],
    [
      "the same, hours ago",
      log(["amdgpu_reset", 9000], ["amdgpu_reset_succeeded", 8990, "info"]),
      "ok none",
      "no reset",
    ],
    [
      "a reset that failed",
      log(["amdgpu_reset_failed", 60, "fatal"]),
      "critical reboot",
      `${gpu}: its reset has failed`,
    ],
    ["a job that hung", log(["amdgpu_ring_timeout", 60, "warning"]), "warning check_application", `${gpu}: a job hung`],
    ["uncorrected", log(["amdgpu_ras", 60]), "critical reset_gpu", `${gpu}: uncorrected hardware errors`],
    ["corrected", log(["amdgpu_ras", 60, "warning"]), "ok none", "no reset"],
    [
      "too many bad pages",
      log(["amdgpu_bad_pages", 60]),
      "critical inspect_hardware",
      `${gpu}: too many bad memory pages`,
    ],
    ["an error of last week", log(["amdgpu_poison", 700_000]), "ok none", "no reset"],
    ["another device's error", log(["nvme_reset", 60]), "ok none", "no reset"],
  ] as const)("%s", (_what, families, expected, summary) => {
    const verdict = verdictOf(amdGpuErrors, families);
    expect(`${verdict.status} ${verdict.action}`).toBe(expected);
    expect(verdict.summary).toStartWith(summary);
  });

  test("a reboot clears it; coming back after the second asks for an inspection", () => {
    const failed = log(["amdgpu_reset_failed", 60, "fatal"]);
    expect(
      after(amdGpuErrors, [
        [0, failed, "a"],
        [600, log(), "b"],
      ]).status,
    ).toBe("ok");
    const again = after(amdGpuErrors, [
      [0, failed, "a"],
      [1, failed, "b"],
      [2, failed, "c"],
    ]);
    expect(again).toMatchObject({ status: "critical", action: "inspect_hardware" });
    expect(again.summary).toContain("again after 2 reboots");
  });

  test("they are not judged twice, and not where there is no AMD GPU", () => {
    expect(verdictOf(kernelLog, log(["amdgpu_reset_failed", 60, "fatal"])).status).toBe("ok");
    expect(grade(amdGpuErrors, {}, { companionPresent: false }).absent).toBe("no GPU of the amdgpu driver");
  });
});

test.each(
  [amdGpuCount, amdGpuErrors, amdGpuMemory, amdGpuTemperature, amdGpuThrottling].map(
    (check): [string, BuiltinCheck] => [check.name, check],
  ),
)("%s is unknown when its source failed", async (_name, check) => {
  const { verdict } = await runWith(check, { state: "failed", reason: "EIO" });
  expect(verdict).toMatchObject({ status: "unknown", action: "none" });
});
