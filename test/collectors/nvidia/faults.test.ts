import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { waitFor } from "../../harness/wait.ts";
import { countSeries, hasAll, helpersOf, sampledAt, startCollector, statesOf } from "./running-collector.ts";

const temperature = "DCGM_FI_DEV_GPU_TEMP";
const limitMs = 60_000;

test(
  "a call that blocks for ever costs its GPU only; the page names it; the GPU comes back by itself",
  async () => {
    await using collector = startCollector({});
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    collector.library.script("gpus 8", "gpu 3 block nvmlDeviceGetPowerUsage");
    const page = await collector.waitForPage("a stuck GPU", (text) => statesOf(text)["3"] === "stuck");
    expect(page).not.toMatch(/^DCGM_FI_DEV_GPU_TEMP\{[^}]*gpu="3"/m);
    expect(collector.log).toContainEqual(
      expect.objectContaining({
        msg: "gpu cannot be read",
        gpu: 3,
        reason: "nvmlDeviceGetPowerUsage does not come back",
      }),
    );
    const others = await collector.waitForPage("seven others", (text) => countSeries(text, temperature) === 7);
    expect(Object.values(statesOf(others)).filter((state) => state === "ok")).toHaveLength(7);
    collector.library.script("gpus 8");
    await collector.waitForPage(
      "all eight again",
      (text) => hasAll(text, "ok", 8) && countSeries(text, temperature) === 8,
    );
  },
  limitMs,
);

test(
  "while one GPU hangs a page is made without waiting",
  async () => {
    await using collector = startCollector({ options: { deadline_seconds: 20 } });
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    collector.library.script("gpus 8", "gpu 0 block *");
    // The round hangs in GPU 0 for 20 s; the others are moved to another process.
    const before = sampledAt(await collector.page(), "7");
    await collector.waitForPage("GPU 7 read again", (page) => sampledAt(page, "7") > before);
    const started = performance.now();
    await collector.page();
    expect(performance.now() - started).toBeLessThan(10_000);
  },
  limitMs,
);

test(
  "a lost GPU says so and has no readings; reset, it comes back by itself",
  async () => {
    await using collector = startCollector({});
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    const lost = ["gpus 8", "gpu 5 return * 15"];
    collector.library.script(...lost);
    const page = await collector.waitForPage("a lost GPU", (text) => statesOf(text)["5"] === "lost");
    expect(countSeries(page, temperature)).toBe(7);
    expect(collector.events.since(0)).toContainEqual(
      expect.objectContaining({ kind: "gpu_lost", device: "0000:6d:00" }),
    );
    collector.library.script("gpus 8");
    await collector.waitForPage("all eight again", (text) => hasAll(text, "ok", 8));
  },
  limitMs,
);

test(
  "after Xid 79 a GPU is not called any more; the Xid stays on the page",
  async () => {
    await using collector = startCollector({ options: { reprobe_seconds: 600 } });
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    // Were GPU 2 called again, the helper would hang in it.
    collector.library.script("gpus 8", "xid 1 2 79");
    const page = await collector.waitForPage("a skipped GPU", (text) => statesOf(text)["2"] === "skipped");
    expect(page).toMatch(/^DCGM_FI_DEV_XID_ERRORS\{[^}]*err_code="79"[^}]*gpu="2"[^}]*\} 79$/m);
    expect(page).not.toMatch(/^DCGM_FI_DEV_GPU_TEMP\{[^}]*gpu="2"/m);
    collector.library.script("gpus 8", "xid 1 2 79", "gpu 2 block *");
    const before = sampledAt(page, "7");
    const later = await collector.waitForPage("two more rounds", (text) => sampledAt(text, "7") > before + 2);
    expect(statesOf(later)["2"]).toBe("skipped");
    expect(later).toMatch(/^aami_gpu_helper_restarts_total 0$/m);
    expect(collector.events.since(0)).toContainEqual(expect.objectContaining({ kind: "gpu_xid", code: 79 }));
  },
  limitMs,
);

test(
  "a killed helper is replaced",
  async () => {
    await using collector = startCollector({});
    const page = await collector.waitForPage("eight GPUs", (text) => hasAll(text, "ok", 8));
    const helpers = helpersOf(collector);
    expect(helpers).toHaveLength(1);
    for (const pid of helpers) process.kill(pid, "SIGKILL");
    const isBack = (text: string): boolean =>
      hasAll(text, "ok", 8) && sampledAt(text, "7") > sampledAt(page, "7") && text.includes("helper_restarts_total 1");
    await collector.waitForPage("a new helper", isBack);
  },
  limitMs,
);

test(
  "a driver that is unloaded and loaded again",
  async () => {
    await using collector = startCollector({});
    await collector.waitForPage("eight GPUs", (page) => hasAll(page, "ok", 8));
    collector.library.script("return nvmlInit_v2 9", ...Array.from({ length: 8 }, (_, gpu) => `gpu ${gpu} return * 1`));
    const page = await collector.waitForPage("no GPU", (text) => hasAll(text, "failed", 8));
    expect(countSeries(page, temperature)).toBe(0);
    collector.library.script("gpus 8");
    await collector.waitForPage("eight GPUs again", (text) => hasAll(text, "ok", 8));
  },
  limitMs,
);

test(
  "a driver that is not loaded is the collector's error; loaded later, it is found",
  async () => {
    await using collector = startCollector({ script: ["return nvmlInit_v2 9"] });
    const reason = await waitFor("an error", () =>
      collector.page().then(
        () => undefined,
        (error: Error) => (error.message.includes("nvmlInit_v2") ? error.message : undefined),
      ),
    );
    expect(reason).toBe("nvmlInit_v2: DRIVER_NOT_LOADED");
    collector.library.script("gpus 1");
    await collector.waitForPage("a GPU", (page) => hasAll(page, "ok", 1));
  },
  limitMs,
);

test(
  "without library and device nothing is started",
  async () => {
    await using collector = startCollector({ options: { library: "/nowhere/libnvidia-ml.so.1" } });
    expect(existsSync("/nowhere")).toBe(false);
    expect(collector.page()).rejects.toThrow("not read yet");
    expect(collector.log).toEqual([]);
  },
  limitMs,
);
