import { describe, expect, test } from "bun:test";
import { createEventLog } from "../../../collectors/events.ts";
import type { Answer, NvmlHelper } from "../../../collectors/nvidia/helper.ts";
import { followKernelXids } from "../../../collectors/nvidia/kernel-xids.ts";
import { toKernelBusId } from "../../../collectors/nvidia/pci-bus-id.ts";
import type { DeviceList, GpuIdentity, GpuReading } from "../../../collectors/nvidia/reading.ts";
import { createGpuWatch, type GpuWatch } from "../../../collectors/nvidia/watch.ts";
import {
  addXid,
  applyReading,
  createWatchedGpu,
  type SeenXid,
  type WatchedGpu,
} from "../../../collectors/nvidia/watch-state.ts";
import { silentLogger } from "../../../runtime/log.ts";

function identity(index: number, uuid = `GPU-${index}`): GpuIdentity {
  return { index, uuid, name: "NVIDIA H100", pciBusId: `00000000:${18 + index}:00.0`, texts: {} };
}

function reading(values: GpuReading["values"] = { temperatureCelsius: 40 }): GpuReading {
  const processCount = { compute: undefined, graphics: undefined };
  return { values, gpm: undefined, links: [], linkKib: [], instances: [], processes: [], processCount, failures: {} };
}

const done = <T>(value: T): Answer<T> => ({ status: "done", value });

/** A helper that answers what the test says, and a clock that stands still. */
function openWatch(count: number) {
  const script = {
    nowMs: 1_000_000,
    list: done<DeviceList>({
      driverVersion: "570",
      nvmlVersion: "12.570",
      gpus: Array.from({ length: count }, (_, index) => identity(index)),
      unreadable: [],
    }) as Answer<DeviceList>,
    samples: new Map<string, Answer<GpuReading>>(),
    sampled: [] as string[],
    asked: [] as string[],
    finished: 0,
    held: new Set<string>(),
    /** What the answers wait for. */
    hold: Promise.resolve(),
  };
  const helper: NvmlHelper = {
    list: async () => {
      script.asked.push("list");
      return script.list;
    },
    sample: async ({ pciBusId }) => {
      script.asked.push("sample");
      script.sampled.push(pciBusId);
      await script.hold;
      return script.samples.get(pciBusId) ?? done(reading());
    },
    events: async () => {
      script.asked.push("events");
      return done([]);
    },
    files: async () => done({ jobs: {} }),
    abandoned: () => script.held.size,
    isHeld: (pciBusId) => script.held.has(pciBusId),
    finish: async () => void script.finished++,
  };
  const watch = createGpuWatch({
    settings: { reprobeSeconds: 300, shownMs: 35_000, readsFiles: false },
    helper,
    perLink: () => false,
    onCounters: () => {},
    events: createEventLog({ log: silentLogger }),
    log: silentLogger,
    now: () => script.nowMs,
  });
  return { script, watch };
}

const states = (watch: GpuWatch): string[] => watch.gpus().map(({ identity: { index }, state }) => `${index} ${state}`);
const kernelXid = (code: number, atMs: number): SeenXid => ({
  pciBusId: "0000:19:00",
  code,
  gpuInstance: undefined,
  source: "kernel log",
  atMs,
});

describe("a watch", () => {
  test.each([79, 119, 120])("does not call a GPU for a while after Xid %i in the kernel log", async (code) => {
    const { script, watch } = openWatch(2);
    await watch.round();
    watch.noteXid(kernelXid(code, script.nowMs));
    expect(states(watch)).toEqual(["0 ok", "1 skipped"]);
    script.sampled.length = 0;
    await watch.round();
    expect(script.sampled).toEqual(["00000000:18:00.0"]);
    script.nowMs += 301_000;
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
  });

  test.each([13, 31, 94])("goes on after Xid %i", async (code) => {
    const { script, watch } = openWatch(2);
    await watch.round();
    watch.noteXid(kernelXid(code, script.nowMs));
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
  });

  test("an Xid from long before keeps nobody from calling", async () => {
    const { script, watch } = openWatch(2);
    watch.noteXid(kernelXid(79, script.nowMs - 400_000));
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
    expect(watch.gpus()[1]?.xids).toHaveLength(1);
  });

  test("an Xid from just before the start does", async () => {
    const { script, watch } = openWatch(2);
    watch.noteXid(kernelXid(79, script.nowMs - 10_000));
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 skipped"]);
    expect(script.sampled).toEqual(["00000000:18:00.0"]);
  });

  test("no GPU is blamed for a library that hangs when it is opened", async () => {
    const { script, watch } = openWatch(2);
    await watch.round();
    script.samples.set("00000000:19:00.0", { status: "stuck", step: "nvmlInit_v2", wchan: "rm_init" });
    await watch.round();
    expect(watch.trouble()).toBe("nvmlInit_v2 does not come back (waits in rm_init)");
    expect(states(watch)).toEqual(["0 failed", "1 failed"]);
    script.samples.clear();
    script.nowMs += 31_000;
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
    expect(script.finished).toBe(1);
  });

  test("a GPU that nobody had time to ask keeps its reading until it is too old", async () => {
    const { script, watch } = openWatch(1);
    await watch.round();
    script.samples.set("00000000:18:00.0", { status: "unasked" });
    await watch.round();
    expect(watch.gpus()[0]).toMatchObject({ state: "ok", sampledAtMs: script.nowMs });
    script.nowMs += 36_000;
    await watch.round();
    expect(watch.gpus()[0]).toMatchObject({ state: "failed", reason: "no process is free" });
  });

  test("the library is not opened anew for a new list while a GPU is sick", async () => {
    const { script, watch } = openWatch(2);
    await watch.round();
    watch.noteXid(kernelXid(79, script.nowMs + 3_600_000));
    script.asked.length = 0;
    script.nowMs += 3_601_000;
    await watch.round();
    expect(script.asked).toEqual(["sample", "events"]);
  });

  test("of many Xids from before the first list the newest are kept", async () => {
    const { script, watch } = openWatch(2);
    for (let count = 0; count < 1001; count++) watch.noteXid(kernelXid(31, count));
    watch.noteXid(kernelXid(79, script.nowMs));
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 skipped"]);
  });

  test("a GPU that fails is tried again at once, and then waits", async () => {
    const { script, watch } = openWatch(1);
    script.samples.set("00000000:18:00.0", { status: "failed", error: "its process ended with signal SIGSEGV" });
    for (let round = 0; round < 5; round++) await watch.round();
    expect(script.sampled).toHaveLength(3);
    expect(states(watch)).toEqual(["0 failed"]);
  });

  test("another board in the same slot takes the place of the one before", async () => {
    const { script, watch } = openWatch(1);
    script.samples.set("00000000:18:00.0", { status: "fault", fault: { call: "nvmlDeviceGetTemperature", code: 15 } });
    await watch.round();
    expect(states(watch)).toEqual(["0 lost"]);
    script.samples.clear();
    script.nowMs += 301_000;
    script.list = done({ driverVersion: "", nvmlVersion: "", gpus: [identity(0, "GPU-new")], unreadable: [] });
    await watch.round();
    await watch.round();
    expect(watch.gpus().map(({ identity: { uuid }, state }) => `${uuid} ${state}`)).toEqual(["GPU-new ok"]);
  });

  test("released in the middle of a round it asks nothing more: an answer would open the devices again", async () => {
    const { script, watch } = openWatch(2);
    script.samples.set("00000000:19:00.0", { status: "fault", fault: { call: "nvmlDeviceGetTemperature", code: 15 } });
    await watch.round();
    script.nowMs += 301_000;
    const answers = Promise.withResolvers<void>();
    script.hold = answers.promise;
    script.asked.length = 0;
    const round = watch.round();
    await watch.release();
    answers.resolve();
    await round;
    expect(script.asked).toEqual(["sample"]);
    expect(states(watch)).toEqual(["0 released", "1 released"]);
    await watch.round();
    expect(script.asked).toEqual(["sample"]);
  });

  test("taken back, every GPU is read at once, whatever it was before", async () => {
    const { script, watch } = openWatch(2);
    await watch.round();
    watch.noteXid(kernelXid(79, script.nowMs));
    await watch.release();
    watch.resume();
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
  });

  test("the library is not opened anew for a GPU whose process is still in the driver: another would hang there", async () => {
    const { script, watch } = openWatch(2);
    const hung = "00000000:19:00.0";
    script.samples.set(hung, { status: "stuck", step: "nvmlDeviceGetPowerUsage", wchan: undefined });
    await watch.round();
    script.held.add(hung);
    script.nowMs += 301_000;
    script.asked.length = 0;
    await watch.round();
    expect(script.asked).toEqual(["sample", "sample", "events"]);
    expect(states(watch)).toEqual(["0 ok", "1 stuck"]);
    script.held.clear();
    script.samples.clear();
    script.nowMs += 301_000;
    await watch.round();
    expect(script.asked.slice(-4)).toEqual(["sample", "list", "sample", "events"]);
    expect(states(watch)).toEqual(["0 ok", "1 ok"]);
  });

  test("a GPU for which there was no time is the first of the next round", async () => {
    const { script, watch } = openWatch(3);
    await watch.round();
    script.samples.set("00000000:19:00.0", { status: "unasked" });
    script.nowMs += 10_000;
    await watch.round();
    script.nowMs += 10_000;
    script.sampled.length = 0;
    await watch.round();
    expect(script.sampled).toEqual(["00000000:19:00.0", "00000000:18:00.0", "00000000:20:00.0"]);
  });

  test("a GPU that the driver no longer lists is lost", async () => {
    const { script, watch } = openWatch(2);
    await watch.round();
    script.list = done({ driverVersion: "", nvmlVersion: "", gpus: [identity(0)], unreadable: [] });
    script.nowMs += 3_601_000;
    await watch.round();
    expect(states(watch)).toEqual(["0 ok", "1 lost"]);
  });
});

function sampled(...steps: readonly (readonly [atSeconds: number, kib: number])[]): WatchedGpu {
  const gpu = createWatchedGpu(identity(0));
  for (const [atSeconds, kib] of steps) {
    applyReading(gpu, reading({ nvlinkTransmitKib: kib, nvlinkReceiveKib: 0 }), atSeconds * 1000);
  }
  return gpu;
}

test.each([
  ["the first sample", [[0, 5000]], 0],
  [
    "KiB per second through 1000, cut off",
    [
      [0, 5000],
      [10, 5000 + 12_345_678],
    ],
    1234,
  ],
  [
    "no traffic",
    [
      [0, 5000],
      [10, 5000],
    ],
    0,
  ],
  [
    "a counter that was reset",
    [
      [0, 5000],
      [10, 10],
    ],
    0,
  ],
] as const)("NVLink bandwidth: %s", (_, steps, wanted) => {
  expect(sampled(...steps).nvlinkRate).toBe(wanted);
});

test("without both directions there is no NVLink bandwidth", () => {
  const gpu = createWatchedGpu(identity(0));
  applyReading(gpu, reading({ nvlinkTransmitKib: 1 }), 0);
  expect(gpu.nvlinkRate).toBeUndefined();
});

test.each([
  ["the other source within a minute", "driver", 79, 20_000, 1],
  ["the other source much later", "driver", 79, 90_000, 2],
  ["the other source, another code", "driver", 48, 1000, 2],
  ["the same source again", "kernel log", 79, 1000, 2],
] as const)("an Xid from %s", (_, source, code, laterMs, wanted) => {
  const gpu = createWatchedGpu(identity(0));
  addXid(gpu, kernelXid(79, 1000));
  addXid(gpu, { ...kernelXid(code, 1000 + laterMs), source });
  expect(gpu.xids).toHaveLength(wanted);
});

test("a flood of Xids is bounded and keeps the newest of each instance", () => {
  const gpu = createWatchedGpu(identity(0));
  addXid(gpu, { ...kernelXid(43, 0), gpuInstance: 3 });
  for (let count = 0; count < 3000; count++) addXid(gpu, kernelXid(31, 400_000 + count));
  expect(gpu.xids.length).toBeLessThan(1100);
});

test("Xids of the kernel log: only the kernel's own records", () => {
  const xids: SeenXid[] = [];
  const text = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.";
  const record = { level: 3, sequence: 1, uptimeSeconds: 5, properties: {}, text };
  const records = [
    { ...record, facility: 0 },
    { ...record, facility: 1 },
    { ...record, facility: 0, text: "eth0: link up" },
  ];
  const open = () => ({
    read: () => ({ records, lost: 0, isEnd: true }),
    nextSequence: () => undefined,
    close: () => {},
  });
  followKernelXids({ device: "", onXid: (xid) => void xids.push(xid), log: silentLogger, open }).stop();
  expect(xids.map(({ pciBusId, code }) => `${pciBusId} ${code}`)).toEqual(["0000:3b:00 79"]);
});

test.each([
  ["00000000:3B:00.0", "0000:3b:00"],
  ["0000:3b:00", "0000:3b:00"],
  ["00010000:01:00.0", "10000:01:00"],
])("%s is %s in the kernel log", (pciBusId, wanted) => {
  expect(toKernelBusId(pciBusId)).toBe(wanted);
});
