import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NvmlError } from "../../../collectors/nvidia/errors.ts";
import { parseProfile } from "../../../collectors/nvidia/mig.ts";
import { openNvml } from "../../../collectors/nvidia/nvml.ts";
import { createNvmlSession, type NvmlSession } from "../../../collectors/nvidia/session.ts";
import { buildNvmlLibrary, type NvmlLibrary } from "../../equipment/nvml/library.ts";
import { createWorkspace, type Workspace } from "../../harness/workspace.ts";

const first = "00000000:18:00.0";
const second = "00000000:29:00.0";
const compileLimitMs = 180_000;
const ignore = (): void => {};

describe("a session with the scripted library", () => {
  let workspace: Workspace;
  let library: NvmlLibrary;
  let now = 0;
  const open = (script: readonly string[]): NvmlSession => {
    library.script(...script);
    return createNvmlSession({ nvml: openNvml(library.path), procPath: "/proc", now: () => now });
  };
  beforeAll(() => {
    workspace = createWorkspace();
    library = buildNvmlLibrary({ workspace });
  }, compileLimitMs);
  afterAll(() => workspace[Symbol.dispose]());

  test("tells who the GPUs are and the versions", () => {
    const list = open(["gpus 2"]).list(ignore);
    expect(list.driverVersion).toBe("570.86.15");
    expect(list.gpus.map(({ index, pciBusId, name }) => ({ index, pciBusId, name }))).toEqual([
      { index: 0, pciBusId: first, name: "NVIDIA H100 80GB HBM3" },
      { index: 1, pciBusId: second, name: "NVIDIA H100 80GB HBM3" },
    ]);
    expect(list.gpus[0]?.texts["DCGM_FI_DEV_SERIAL"]).toBe("1650023000000");
  });

  test("announces every call before it is made", () => {
    const steps: string[] = [];
    const session = open(["gpus 1"]);
    session.list((step) => steps.push(step));
    expect(steps.slice(0, 3)).toEqual(["nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2 0"]);
    steps.length = 0;
    session.sample(first, (step) => steps.push(step));
    expect(steps).toContain("nvmlDeviceGetPowerUsage");
    expect(steps).toContain("nvmlDeviceGetFieldValues");
    // 18 links, told once.
    expect(steps.filter((step) => step === "nvmlDeviceGetNvLinkState")).toHaveLength(1);
  });

  test("one call that is not supported costs its value and is not made again", () => {
    const session = open(["gpus 1", "gpu 0 return nvmlDeviceGetPowerUsage 3"]);
    expect(session.sample(first, ignore).values.powerMilliwatts).toBeUndefined();
    const steps: string[] = [];
    const { values, failures } = session.sample(first, (step) => steps.push(step));
    expect(steps).not.toContain("nvmlDeviceGetPowerUsage");
    expect(values.temperatureCelsius).toBe(40);
    expect(failures).toEqual({});
  });

  test("a call that fails otherwise is named, and tried again", () => {
    const session = open(["gpus 1", "gpu 0 return nvmlDeviceGetPowerUsage 4"]);
    expect(session.sample(first, ignore).failures).toEqual({ nvmlDeviceGetPowerUsage: 4 });
    library.script("gpus 1");
    expect(session.sample(first, ignore).values.powerMilliwatts).toBe(312000);
  });

  test.each([
    ["lost", "gpu 0 return nvmlDeviceGetTemperature 15", 15],
    ["driver unloaded", "gpu 0 return nvmlDeviceGetTemperature 1", 1],
    ["answering nothing", "gpu 0 return * 999", 999],
  ])("a GPU that is %s is a fault", (_, line, code) => {
    const session = open(["gpus 1", line]);
    let thrown: unknown;
    try {
      session.sample(first, ignore);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(NvmlError);
    expect((thrown as NvmlError).code).toBe(code);
  });

  test("a device that cannot be opened does not hide the others", () => {
    const list = open(["gpus 3", "gpu 1 return nvmlDeviceGetHandleByIndex_v2 15"]).list(ignore);
    expect(list.gpus.map(({ index }) => index)).toEqual([0, 2]);
    expect(list.unreadable).toEqual([{ index: 1, fault: { call: "nvmlDeviceGetHandleByIndex_v2", code: 15 } }]);
  });

  test("GPM needs two samples; what is not a number is left out", () => {
    const session = open(["gpus 1"]);
    expect(session.sample(first, ignore).gpm).toBeUndefined();
    now += 10_000;
    const { gpm } = session.sample(first, ignore);
    expect(gpm).toMatchObject({ 1: 51, 5: 55, 20: 20000 });
    expect(gpm).not.toHaveProperty("13");
    now += 10 * 60_000;
    expect(session.sample(first, ignore).gpm).toBeUndefined();
  });

  test("GPU instances have memory and GPM of their own; utilization is gone", () => {
    const session = open(["gpus 2", "mig 0 2"]);
    session.sample(first, ignore);
    now += 10_000;
    const { values, instances, gpm } = session.sample(first, ignore);
    expect(instances.map(({ gpuInstanceId, profile }) => `${gpuInstanceId} ${profile}`)).toEqual([
      "7 1g.10gb",
      "8 1g.10gb",
    ]);
    expect(instances[0]?.values.frameBufferTotal).toBe(9984 * 1024 * 1024);
    expect(instances[0]?.gpm).toMatchObject({ 1: 51 });
    expect(gpm).toBeUndefined();
    expect(values.gpuPercent).toBeUndefined();
    library.script("gpus 2");
    session.sample(first, ignore);
    expect(session.sample(first, ignore).values.gpuPercent).toBe(90);
  });

  test("an Xid event is told once", () => {
    const session = open(["gpus 2", "xid 1 1 79"]);
    session.list(ignore);
    expect(session.events(ignore)).toEqual([{ pciBusId: second, code: 79, gpuInstance: undefined }]);
    expect(session.events(ignore)).toEqual([]);
  });

  test("the traffic of every NVLink is read when it is asked for", () => {
    const session = open(["gpus 1"]);
    expect(session.sample(first, ignore).linkKib).toEqual([]);
    const { linkKib } = session.sample(first, ignore, true);
    expect(linkKib).toHaveLength(18);
    expect(linkKib.slice(6, 9)).toEqual([12_000, null, 16_000]);
  });

  test("what was made is given back before the library is closed", () => {
    const session = open(["gpus 2"]);
    session.list(ignore);
    session.events(ignore);
    session.list(ignore);
    session.close(ignore);
    const calls = library.journal().map((line) => line.split(" ")[0]);
    expect(calls.slice(-6)).toEqual(["init", "events", "noevents", "shutdown", "init", "shutdown"]);
  });

  test("the memory temperature is read as unsigned, whatever type the driver names", () => {
    expect(open(["gpus 1"]).sample(first, ignore).values.memoryTemperatureCelsius).toBe(50);
  });

  test("a closed session opens again by itself", () => {
    const session = open(["gpus 1"]);
    session.sample(first, ignore);
    session.close(ignore);
    expect(session.sample(first, ignore).values.temperatureCelsius).toBe(40);
  });
});

test(
  "a library without the newer functions loses their values only",
  () => {
    using workspace = createWorkspace();
    const library = buildNvmlLibrary({ workspace, script: ["gpus 1"], oldDriver: true });
    const nvml = openNvml(library.path);
    expect(nvml.has("nvmlDeviceGetMemoryInfo_v2")).toBe(false);
    const { values, gpm, failures } = createNvmlSession({ nvml, procPath: "/proc", now: () => 0 }).sample(
      first,
      ignore,
    );
    expect(values.frameBufferUsed).toBe(1000 * 1024 * 1024);
    expect(values.frameBufferReserved).toBeUndefined();
    expect(values.throttleReasons).toBe(0);
    expect(values.fabricState).toBeUndefined();
    expect(gpm).toBeUndefined();
    expect(failures).toEqual({});
  },
  compileLimitMs,
);

test("a library that is not there is an error with its name", () => {
  expect(() => openNvml("/nowhere/libnvidia-ml.so.1")).toThrow("/nowhere/libnvidia-ml.so.1");
});

test.each([
  ["NVIDIA A100-SXM4-40GB MIG 1g.5gb", "1g.5gb"],
  ["NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb", "2g.20gb"],
  ["NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "1g.10gb+me"],
  ["NVIDIA H100 80GB HBM3", ""],
])("the profile of %s is %s", (name, profile) => {
  expect(parseProfile(name)).toBe(profile);
});
