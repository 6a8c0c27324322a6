import { describe, expect, test } from "bun:test";
import type { BuiltinCheck } from "../../../checks/builtin/builtin.ts";
import { gpuCount } from "../../../checks/builtin/gpu/count.ts";
import { gpuFabric } from "../../../checks/builtin/gpu/fabric.ts";
import { gpuMemory } from "../../../checks/builtin/gpu/memory.ts";
import { gpuNvlink } from "../../../checks/builtin/gpu/nvlink.ts";
import { gpuPcie, gpuPersistence, gpuRecovery } from "../../../checks/builtin/gpu/settings.ts";
import { gpuTemperature } from "../../../checks/builtin/gpu/temperature.ts";
import { gpuThrottling } from "../../../checks/builtin/gpu/throttling.ts";
import type { Verdict } from "../../../checks/verdict.ts";
import { createWatchedGpu, applyReading, applyTrouble, type GpuState } from "../../../collectors/nvidia/watch-state.ts";
import { ownFamilies } from "../../../collectors/nvidia/own-page.ts";
import type { Values } from "../../../collectors/nvidia/reading.ts";
import { type Families, grade, noon, runWith, toSamples, verdictOf } from "./grading.ts";

interface GpuSetup {
  readonly values?: Values;
  readonly links?: readonly boolean[];
  readonly state?: GpuState;
  readonly name?: string;
}

/** The families as the collector makes them of these GPUs. */
function gpus(...all: readonly GpuSetup[]): Families {
  return gpusAnd({}, ...all);
}

function gpusAnd({ unreadable = 0 }: { unreadable?: number }, ...all: readonly GpuSetup[]): Families {
  const watched = all.map(({ values = {}, links = [], state = "ok", name = "H100" }, index) => {
    const pciBusId = `00000000:${(0x3a + index).toString(16).toUpperCase()}:00.0`;
    const gpu = createWatchedGpu({ index, uuid: `GPU-${index}`, name, pciBusId, texts: {} });
    const nothing = { gpm: undefined, instances: [], linkKib: [], processes: [], failures: {} };
    applyReading(gpu, { ...nothing, values, links, processCount: { compute: 0, graphics: 0 } }, noon * 1000);
    if (state !== "ok") applyTrouble(gpu, state, "for a test");
    return gpu;
  });
  const families = ownFamilies({
    gpus: watched,
    readable: watched.filter(({ state }) => state === "ok"),
    driverVersion: "570",
    helperRestarts: 0,
    abandoned: 0,
    unreadable,
  });
  return Object.fromEntries(
    families.map(({ name, samples }) => [name, samples.map(({ labels, value }) => [labels, value] as const)]),
  );
}

/** Looks at these seconds after noon; the verdict of the last one. */
function after(
  check: BuiltinCheck,
  looks: readonly (readonly [second: number, families: Families, bootId?: string])[],
  parameters = {},
): Verdict {
  let memory: unknown;
  let verdict: Verdict | undefined;
  for (const [second, families, bootId = "boot-1"] of looks) {
    const options = { memory, parameters, bootId, nowSeconds: noon + second };
    verdict = verdictOf(check, families, options);
    memory = grade(check, families, options).memory;
  }
  if (verdict === undefined) throw new Error("no look");
  return verdict;
}

describe("gpu_count", () => {
  test.each([
    ["all there", gpus({}, {}), {}, "ok", "none", "2 GPUs answering"],
    [
      "a lost one",
      gpus({}, { state: "lost" }),
      {},
      "critical",
      "reboot",
      "GPU 1 (0000:3b:00): the driver no longer reaches it",
    ],
    [
      "a stuck one",
      gpus({ state: "stuck" }),
      {},
      "critical",
      "reboot",
      "GPU 0 (0000:3a:00): calls to the driver about it hang",
    ],
    [
      "one after Xid 79",
      gpus({ state: "skipped" }),
      {},
      "critical",
      "reboot",
      "GPU 0 (0000:3a:00): not called since an Xid after which calls hang",
    ],
    [
      "one that cannot be read",
      gpus({}, { state: "failed" }),
      {},
      "unknown",
      "none",
      "GPU 1 (0000:3b:00): it could not be read",
    ],
    ["a released one", gpus({}, { state: "released" }), {}, "ok", "none", "1 GPU answering, 1 released"],
    ["too few", gpus({}), { expected_gpus: 8 }, "critical", "reboot", "1 of 8 GPUs"],
    [
      "a lost one that does not open",
      gpusAnd({ unreadable: 1 }, { state: "lost" }),
      {},
      "critical",
      "reboot",
      "GPU 0 (0000:3a:00): the driver no longer reaches it",
    ],
    [
      "one that does not open",
      gpusAnd({ unreadable: 1 }, {}),
      {},
      "critical",
      "reboot",
      "the driver counts 1 GPU more and does not open it",
    ],
  ] as const)("%s", (_what, families, parameters, status, action, summary) => {
    expect(verdictOf(gpuCount, families, { parameters })).toMatchObject({ status, action, summary });
  });

  const plugged = (...drivers: readonly string[]): Families => ({
    aami_gpu_pci_device_info: drivers.map((driver, index) => {
      const address = `0000:${(0x3a + index).toString(16)}:00.0`;
      return [{ pci_bus_id: address, driver, kind: "3d" }, 1] as const;
    }),
  });

  test("a GPU that is plugged in and that the driver could not start is named", () => {
    const companion = plugged("nvidia", "nvidia", "vfio-pci", "");
    const look = (second: number, memory?: unknown) =>
      grade(gpuCount, gpusAnd({ unreadable: 1 }, {}), { companion, memory, nowSeconds: noon + second });
    const first = look(0);
    // The driver may be at it still; what NVML says is said at once.
    expect(first.findings.map(({ summary }) => summary)).toEqual(["the driver counts 1 GPU more and does not open it"]);
    const second = look(90, first.memory);
    expect(second.findings).toEqual([
      {
        status: "critical",
        subject: "GPU 0000:3b:00",
        summary: "is on the PCI bus, and the driver could not start it",
        action: "reboot",
      },
    ]);
  });

  test("GPUs without a driver are a warning, with an expectation critical, and a screen's card is none", async () => {
    const absent = { state: "absent", reason: "no libnvidia-ml.so.1" } as const;
    const judge = async (companion: Families, config = {}) =>
      (await runWith(gpuCount, absent, config, { state: "ok", samples: toSamples(companion) })).verdict;
    expect(await judge(plugged("", "nvidia"))).toMatchObject({
      status: "warning",
      action: "check_configuration",
      summary: "2 GPUs on the PCI bus, and no driver: no libnvidia-ml.so.1",
    });
    expect((await judge(plugged(""), { expected_gpus: 8 }))?.status).toBe("critical");
    expect(await judge(plugged("nouveau", "vfio-pci"))).toBeUndefined();
    const screen = [[{ pci_bus_id: "0000:01:00.0", driver: "", kind: "vga" }, 1]] as const;
    expect(await judge({ aami_gpu_pci_device_info: screen })).toBeUndefined();
  });

  test("fewer than before are a warning for a week", () => {
    expect(
      after(gpuCount, [
        [0, gpus({}, {})],
        [60, gpus({})],
      ]),
    ).toMatchObject({
      status: "warning",
      summary: "1 GPU, there have been 2",
    });
    expect(
      after(gpuCount, [
        [0, gpus({}, {})],
        [8 * 86_400, gpus({})],
      ]).status,
    ).toBe("ok");
  });

  test("a GPU that is lost again after two reboots needs hands", () => {
    const lost = gpus({ state: "lost" });
    const twice = after(gpuCount, [
      [0, lost, "a"],
      [600, lost, "b"],
    ]);
    expect(twice.action).toBe("reboot");
    const thrice = after(gpuCount, [
      [0, lost, "a"],
      [600, lost, "b"],
      [900, gpus({}), "c"],
      [1200, lost, "c"],
    ]);
    expect(thrice).toMatchObject({ status: "critical", action: "inspect_hardware" });
  });

  test("no driver is no check, unless GPUs are expected", async () => {
    const absent = { state: "absent", reason: "no libnvidia-ml.so.1" } as const;
    expect((await runWith(gpuCount, absent)).outcome).toBe("absent");
    expect((await runWith(gpuCount, absent, { expected_gpus: 8 })).verdict).toMatchObject({
      status: "critical",
      action: "check_configuration",
    });
  });
});

describe("gpu_memory", () => {
  test.each([
    ["good memory", { remapFailed: 0, remapPending: 0 }, "ok", "none", "1 GPU without new memory errors"],
    ["pending rows", { remapPending: 1 }, "warning", "reset_gpu", "memory rows will be replaced at the next reset"],
    ["a failed row", { remapPending: 1, remapFailed: 1 }, "critical", "inspect_hardware", "to be exchanged"],
    ["pending pages", { retiredPending: 1 }, "warning", "reboot", "memory pages will be retired at the next reboot"],
    [
      "no spare rows",
      { banksMax: 600, banksNone: 2 },
      "warning",
      "inspect_hardware",
      "2 memory banks without spare rows",
    ],
    ["corrected errors", { eccCorrectedVolatile: 900 }, "ok", "none", "1 GPU without"],
    ["old uncorrected errors", { eccUncorrectedAggregate: 4 }, "ok", "none", "1 GPU without"],
  ] as const)("%s", (_what, values, status, action, text) => {
    const verdict = verdictOf(gpuMemory, gpus({ values }));
    expect(verdict).toMatchObject({ status, action });
    expect(verdict.summary).toContain(text);
  });

  test("new uncorrected errors are a warning for a day", () => {
    const [few, more] = [
      gpus({ values: { eccUncorrectedAggregate: 4 } }),
      gpus({ values: { eccUncorrectedAggregate: 5 } }),
    ];
    expect(
      after(gpuMemory, [
        [0, few],
        [60, more],
      ]),
    ).toMatchObject({
      status: "warning",
      summary: "GPU 0 (0000:3a:00): uncorrected ECC errors have grown to 5",
    });
    expect(
      after(gpuMemory, [
        [0, few],
        [60, more],
        [90_000, more],
      ]).status,
    ).toBe("ok");
  });

  test("ECC that is off is a warning where it is asked for", () => {
    const off = gpus({ values: { eccMode: 0 } });
    expect(verdictOf(gpuMemory, off).status).toBe("ok");
    expect(verdictOf(gpuMemory, off, { parameters: { require_ecc: true } }).status).toBe("warning");
  });
});

describe("gpu_throttling", () => {
  const cool = gpus({ values: { throttleReasons: 0x4 } });
  const hot = gpus({ values: { throttleReasons: 0x48 } });
  const looks = (...all: readonly Families[]) => all.map((families, index) => [index * 30, families] as const);

  test("the power cap is no finding", () => {
    expect(after(gpuThrottling, looks(cool, cool, cool, cool, cool, cool)).status).toBe("ok");
  });

  test("nothing is said after a few looks", () => {
    expect(after(gpuThrottling, looks(hot, hot, hot, hot)).status).toBe("ok");
  });

  test("now and then is a warning, most of the time critical", () => {
    expect(after(gpuThrottling, looks(hot, cool, cool, cool, hot))).toMatchObject({
      status: "warning",
      summary: "GPU 0 (0000:3a:00): too hot, slowed down by the hardware in 40 % of the last 5 looks (2 min)",
    });
    expect(after(gpuThrottling, looks(hot, cool, hot, cool, hot)).status).toBe("critical");
    const braked = gpus({ values: { throttleReasons: 0x88 } });
    expect(after(gpuThrottling, looks(braked, braked, braked, braked, braked)).summary).toContain("power brake");
    const slowed = gpus({ values: { throttleReasons: 0x8 } });
    expect(after(gpuThrottling, looks(slowed, slowed, slowed, slowed, slowed)).summary).toContain(
      ": slowed down by the hardware in 100 %",
    );
  });

  test("what is over is forgotten after the window", () => {
    const cooled = Array.from({ length: 6 }, (_, index) => [800 + index * 30, cool] as const);
    expect(after(gpuThrottling, [...looks(hot, hot, hot, hot, hot, hot), ...cooled]).status).toBe("ok");
  });
});

describe("gpu_temperature", () => {
  const limits = { shutdownCelsius: 92, slowdownCelsius: 89, gpuMaxCelsius: 87, memoryMaxCelsius: 95 };
  const at = (core: number, memory = 60, values: Values = limits, label = "UUID"): Families => ({
    ...gpus({ values }),
    DCGM_FI_DEV_GPU_TEMP: [[{ [label]: "GPU-0" }, core]],
    DCGM_FI_DEV_MEMORY_TEMP: [[{ [label]: "GPU-0" }, memory]],
  });
  const name = "GPU 0 (0000:3a:00)";
  test.each([
    ["cool", at(60), {}, "ok", "1 GPU, the hottest at 60 °C"],
    ["at its maximum", at(87), {}, "ok", "1 GPU, the hottest at 87 °C"],
    ["above it", at(88), {}, "warning", `${name}: 88 °C, its maximum in operation is 87 °C`],
    ["slowing down", at(89), {}, "warning", `${name}: 89 °C, it slows down at 89 °C`],
    ["about to switch itself off", at(91), {}, "critical", `${name}: 91 °C, it switches itself off at 92 °C`],
    ["hot memory", at(60, 96), {}, "warning", `${name}: its memory has 96 °C, the maximum is 95 °C`],
    [
      "warm, with a margin",
      at(80),
      { warning_margin_celsius: 10 },
      "warning",
      `${name}: 80 °C, it slows down at 89 °C`,
    ],
    ["without limits", at(120, 120, { shutdownCelsius: 0 }), {}, "ok", "1 GPU, the hottest at 120 °C"],
    ["with the label of old exporters", at(91, 60, limits, "uuid"), {}, "critical", `${name}: 91 °C, it switches`],
  ] as const)("%s", (_what, families, parameters, status, summary) => {
    const verdict = verdictOf(gpuTemperature, families, { parameters });
    expect(verdict).toMatchObject({ status, action: status === "ok" ? "none" : "inspect_hardware" });
    expect(verdict.summary).toStartWith(summary);
  });

  test("GPUs that tell no temperature are not judged", () => {
    expect(grade(gpuTemperature, gpus({ values: limits })).absent).toBe("no GPU that tells its temperature");
  });
});

describe("gpu_nvlink", () => {
  const linked = (active: number, all = 4, values: Values = {}): Families =>
    gpus({ values, links: Array.from({ length: all }, (_, index) => index < active) });
  test("links that have been active are missed", () => {
    expect(after(gpuNvlink, [[0, linked(4)]]).status).toBe("ok");
    expect(
      after(gpuNvlink, [
        [0, linked(4)],
        [60, linked(3)],
      ]),
    ).toMatchObject({
      status: "critical",
      action: "reset_gpu",
      summary: "GPU 0 (0000:3a:00): 3 of 4 NVLinks active",
    });
    expect(after(gpuNvlink, [[0, linked(0)]]).status).toBe("ok");
  });

  test("on a fabric no GPU is without links, and expectations count", () => {
    expect(after(gpuNvlink, [[0, linked(0, 4, { fabricState: 3 })]]).status).toBe("critical");
    expect(after(gpuNvlink, [[0, linked(4)]], { expected_links: 18 }).status).toBe("critical");
    expect(after(gpuNvlink, [[0, linked(2)]], { expected_links: 2 }).status).toBe("ok");
  });

  test("a link that had to recover is a warning for an hour", () => {
    const recovered = linked(4, 4, { nvlinkRecoveryErrors: 1 });
    const looks = [
      [0, linked(4, 4, { nvlinkRecoveryErrors: 0 })],
      [60, recovered],
    ] as const;
    expect(after(gpuNvlink, looks)).toMatchObject({ status: "warning", action: "none" });
    expect(after(gpuNvlink, [...looks, [4000, recovered]]).status).toBe("ok");
  });

  test("links that are down again after two reboots need hands", () => {
    const looks = (["a", "b", "c"] as const).flatMap((bootId, index) => [
      [index * 900, linked(4), bootId] as const,
      [index * 900 + 60, linked(3), bootId] as const,
    ]);
    expect(after(gpuNvlink, looks.slice(0, 4)).action).toBe("reset_gpu");
    expect(after(gpuNvlink, looks)).toMatchObject({ status: "critical", action: "inspect_hardware" });
  });

  test("a counter that is not told for a while has not grown", () => {
    const recovered = linked(4, 4, { nvlinkRecoveryErrors: 5 });
    expect(
      after(gpuNvlink, [
        [0, linked(4)],
        [60, recovered],
      ]).status,
    ).toBe("ok");
    expect(
      after(gpuNvlink, [
        [0, recovered],
        [60, linked(4)],
        [120, recovered],
      ]).status,
    ).toBe("ok");
  });

  test("GPUs of one board without a single link are critical, cards without a bridge are not", () => {
    const idle = { links: [false, false] };
    const board = { ...idle, name: "NVIDIA A100-SXM4-80GB" };
    expect(verdictOf(gpuNvlink, gpus(board, board))).toMatchObject({ status: "critical", action: "reset_gpu" });
    expect(verdictOf(gpuNvlink, gpus(board)).status).toBe("ok");
    expect(verdictOf(gpuNvlink, gpus(idle, idle))).toMatchObject({ status: "ok", summary: "no NVLink in use" });
  });

  test("without NVLink there is no check", () => {
    expect(grade(gpuNvlink, gpus({})).absent).toBe("no GPU with NVLink");
  });
});

describe("gpu_fabric", () => {
  const fabric = (fabricState: number, fabricStatus = 0, fabricHealthMask = 0): Families =>
    gpus({ values: { fabricState, fabricStatus, fabricHealthMask } });
  test.each([
    ["joined", fabric(3), "ok", "1 GPU on the fabric"],
    ["joined and healthy", fabric(3, 0, 0xaa | (1 << 8)), "ok", "1 GPU on the fabric"],
    ["joining failed", fabric(3, 999), "critical", "joining the fabric has failed (NVML code 999)"],
    ["less bandwidth", fabric(3, 0, 0x1), "warning", "the bandwidth of the fabric is degraded"],
    ["a bad route", fabric(3, 0, 0x1 << 4), "critical", "a route is unhealthy"],
    ["a wrong configuration", fabric(3, 0, 4 << 8), "critical", "its configuration in the fabric is wrong (4)"],
  ] as const)("%s", (_what, families, status, text) => {
    const verdict = verdictOf(gpuFabric, families);
    expect(verdict.status).toBe(status);
    expect(verdict.summary).toContain(text);
  });

  test("joining may take ten minutes", () => {
    expect(
      after(gpuFabric, [
        [0, fabric(2)],
        [599, fabric(2)],
      ]).status,
    ).toBe("ok");
    expect(
      after(gpuFabric, [
        [0, fabric(1)],
        [600, fabric(1)],
      ]),
    ).toMatchObject({
      status: "critical",
      summary: "GPU 0 (0000:3a:00): outside the fabric since 2026-11-20 12:00:00 UTC",
    });
    expect(
      after(gpuFabric, [
        [0, fabric(1)],
        [300, fabric(3)],
        [900, fabric(1)],
      ]).status,
    ).toBe("ok");
  });

  test("without NVSwitches there is no check", () => {
    expect(grade(gpuFabric, fabric(0)).absent).toBe("no GPU on an NVSwitch fabric");
  });
});

const settings = [
  [gpuPersistence, { persistenceMode: 1 }, "ok", "none"],
  [gpuPersistence, { persistenceMode: 0 }, "warning", "check_configuration"],
  [gpuRecovery, { recoveryAction: 0 }, "ok", "none"],
  [gpuRecovery, { recoveryAction: 1 }, "critical", "reset_gpu"],
  [gpuRecovery, { recoveryAction: 2 }, "critical", "reboot"],
  [gpuRecovery, { recoveryAction: 4 }, "warning", "reset_gpu"],
  [gpuRecovery, { recoveryAction: 9 }, "warning", "contact_support"],
  [gpuPcie, { pcieWidth: 16, maxPcieWidth: 16 }, "ok", "none"],
  [gpuPcie, { pcieWidth: 8, maxPcieWidth: 16 }, "warning", "inspect_hardware"],
] as const;
test.each(settings.map(([check, ...rest]) => [check.name, ...rest, check] as const))(
  "%s with %p is %s",
  (_name, values, status, action, check) => {
    expect(verdictOf(check, gpus({ values }))).toMatchObject({ status, action });
  },
);

test.each([gpuPcie, gpuPersistence, gpuRecovery].map((check): [string, BuiltinCheck] => [check.name, check]))(
  "%s judges no GPU that does not tell",
  (_name, check) => {
    expect(grade(check, gpus({})).absent).toStartWith("no GPU that tells");
  },
);

const all = [
  gpuCount,
  gpuFabric,
  gpuMemory,
  gpuNvlink,
  gpuPcie,
  gpuPersistence,
  gpuRecovery,
  gpuTemperature,
  gpuThrottling,
];
test.each(all.map((check): [string, BuiltinCheck] => [check.name, check]))(
  "%s is unknown when the driver does not answer",
  async (_name, check) => {
    const { verdict } = await runWith(check, { state: "failed", reason: "ERROR_UNKNOWN" });
    expect(verdict).toMatchObject({ status: "unknown", action: "none" });
  },
);
