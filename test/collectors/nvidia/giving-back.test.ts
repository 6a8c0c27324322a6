import { expect, test } from "bun:test";
import { readReleaseState, removeReleaseRequest, writeReleaseRequest } from "../../../collectors/nvidia/release.ts";
import { waitFor } from "../../harness/wait.ts";
import { countSeries, hasAll, helpersOf, type RunningCollector, startCollector } from "./running-collector.ts";

const temperature = "DCGM_FI_DEV_GPU_TEMP";
const limitMs = 60_000;

test(
  "released: no process has the library, all states say so; taken back when the time is over",
  async () => {
    await using collector = startCollector({});
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    const file = collector.workspace.file("run/gpu-release");
    const untilMs = Date.now() + 600_000;
    writeReleaseRequest(file, { untilMs });
    await waitFor("the daemon's word", () => readReleaseState(file)?.released === true);
    expect(helpersOf(collector)).toEqual([]);
    expect(readReleaseState(file)).toEqual({ released: true, abandoned: 0, untilMs });
    const page = await collector.page();
    expect(hasAll(page, "released", 8)).toBe(true);
    expect(countSeries(page, temperature)).toBe(0);
    removeReleaseRequest(file);
    await waitFor("the daemon's word", () => readReleaseState(file)?.released === false);
    await collector.waitForPage("eight GPUs again", (text) => hasAll(text, "ok", 8));
  },
  limitMs,
);

/** Processes that opened the library and were not heard to close it. */
function leftOpen({ library }: RunningCollector): string[] {
  const open = new Map<string, number>();
  for (const line of library.journal()) {
    const [what = "", pid = ""] = line.split(" ");
    if (what === "init" || what === "shutdown") open.set(pid, (open.get(pid) ?? 0) + (what === "init" ? 1 : -1));
  }
  return [...open].filter(([, count]) => count !== 0).map(([pid]) => pid);
}

test(
  "stopped, it gives the devices back and leaves no process behind",
  async () => {
    await using collector = startCollector({});
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    await collector.stop();
    expect(helpersOf(collector)).toEqual([]);
    expect(leftOpen(collector)).toEqual([]);
  },
  limitMs,
);

test.each([
  ["stopped", async (collector: RunningCollector) => collector.stop()],
  [
    "released",
    async ({ workspace }: RunningCollector) => {
      const file = workspace.file("run/gpu-release");
      writeReleaseRequest(file, { untilMs: Date.now() + 600_000 });
      await waitFor("the daemon's word", () => readReleaseState(file)?.released === true);
    },
  ],
] as const)(
  "%s in the middle of a call, it waits for the call and gives the devices back",
  async (_, leave) => {
    await using collector = startCollector({
      script: ["gpus 8", "gpu 3 delay nvmlDeviceGetPowerUsage 300"],
      options: { deadline_seconds: 20 },
    });
    await waitFor("a call that takes long", () => collector.library.journal().some((line) => line.startsWith("delay")));
    await leave(collector);
    expect(helpersOf(collector)).toEqual([]);
    expect(leftOpen(collector)).toEqual([]);
  },
  limitMs,
);

test(
  "released with a call that does not come back: its process is ended, and no other begun",
  async () => {
    await using collector = startCollector({ script: ["gpus 8", "gpu 3 block nvmlDeviceGetPowerUsage"] });
    await waitFor("a helper", () => helpersOf(collector).length > 0);
    const file = collector.workspace.file("run/gpu-release");
    writeReleaseRequest(file, { untilMs: Date.now() + 600_000 });
    await waitFor("the daemon's word", () => readReleaseState(file)?.released === true);
    expect(helpersOf(collector)).toEqual([]);
    expect(readReleaseState(file)?.abandoned).toBe(0);
  },
  limitMs,
);
