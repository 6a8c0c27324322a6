import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isErrno } from "../../../collectors/read.ts";
import { readReleaseState, removeReleaseRequest, writeReleaseRequest } from "../../../collectors/nvidia/release.ts";
import { waitFor } from "../../harness/wait.ts";
import { countSeries, hasAll, type RunningCollector, startCollector, statesOf } from "./running-collector.ts";

const temperature = "DCGM_FI_DEV_GPU_TEMP";
const limitMs = 180_000;

/** Helper processes that have this collector's library loaded, children of this very process. */
function helpersOf({ library }: RunningCollector): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && hasMapped(Number(name), library.path))
    .map(Number);
}

function hasMapped(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/map_files`).some(
      (name) => readlinkSync(`/proc/${pid}/map_files/${name}`) === path,
    );
  } catch (error) {
    // It has ended meanwhile.
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return false;
    throw error;
  }
}

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

function sampledAt(page: string, gpu: string): number {
  const line = new RegExp(`^aami_gpu_last_sample_timestamp_seconds\\{gpu="${gpu}",[^}]*\\} (\\S+)$`, "m").exec(page);
  return Number(line?.[1] ?? Number.NaN);
}

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

test(
  "jobs of the mapping folder become a series each",
  async () => {
    await using collector = startCollector({
      script: ["gpus 2"],
      options: (workspace) => {
        mkdirSync(workspace.file("jobs"));
        writeFileSync(workspace.file("jobs/1"), "4711\n4712\n\n");
        writeFileSync(workspace.file("jobs/README"), "not a GPU\n");
        return { hpc_job_mapping_dir: workspace.file("jobs") };
      },
    });
    const page = await collector.waitForPage("jobs", (text) => text.includes("hpc_job"));
    const jobs = [...page.matchAll(/^DCGM_FI_DEV_GPU_TEMP\{.*gpu="(\d)",(?:hpc_job="(\d+)")?/gm)];
    expect(jobs.map(([, gpu, job]) => `${gpu} ${job ?? ""}`)).toEqual(["0 ", "1 4711", "1 4712"]);
  },
  limitMs,
);

test(
  "a counters file decides what there is; the lines that cannot be had are named once",
  async () => {
    await using collector = startCollector({
      script: ["gpus 1"],
      options: (workspace) => {
        const lines = ["DCGM_FI_DEV_SLOWDOWN_TEMP, gauge, Slow above.", "DCGM_FI_DEV_NO_SUCH_FIELD, gauge, x"];
        writeFileSync(workspace.file("counters.csv"), lines.join("\n"));
        return { counters_file: workspace.file("counters.csv") };
      },
    });
    const page = await collector.waitForPage("the GPU", (text) => hasAll(text, "ok", 1));
    expect(page).toContain("# HELP DCGM_FI_DEV_SLOWDOWN_TEMP Slow above.\n");
    expect([...page.matchAll(/^# TYPE (DCGM\S+)/gm)].map(([, name]) => name)).toEqual(["DCGM_FI_DEV_SLOWDOWN_TEMP"]);
    const warnings = collector.log.filter(({ msg }) => msg === "lines of the counters file are left out");
    expect(JSON.stringify(warnings)).toContain("DCGM_FI_DEV_NO_SUCH_FIELD");
  },
  limitMs,
);

test(
  "a counters file that is changed is used as it is now; one that is gone, as it was",
  async () => {
    await using collector = startCollector({
      script: ["gpus 1"],
      options: (workspace) => {
        writeFileSync(workspace.file("counters.csv"), "DCGM_FI_DEV_SLOWDOWN_TEMP, gauge, Slow above.");
        return { counters_file: workspace.file("counters.csv") };
      },
    });
    const file = collector.workspace.file("counters.csv");
    await collector.waitForPage("the first list", (text) => text.includes("DCGM_FI_DEV_SLOWDOWN_TEMP{"));
    writeFileSync(`${file}.new`, "DCGM_FI_DEV_NVLINK_BANDWIDTH_L3, counter, Link 3.");
    renameSync(`${file}.new`, file);
    const page = await collector.waitForPage("the second", (text) => text.includes("NVLINK_BANDWIDTH_L3{"));
    expect(page).not.toContain("SLOWDOWN");
    rmSync(file);
    const before = sampledAt(page, "0");
    await collector.waitForPage(
      "two more rounds",
      (text) => sampledAt(text, "0") > before + 2 && text.includes("NVLINK_BANDWIDTH_L3{"),
    );
  },
  limitMs,
);

test(
  "without its counters file the default list is used",
  async () => {
    await using collector = startCollector({ script: ["gpus 1"], options: { counters_file: "/nowhere/counters.csv" } });
    const page = await collector.waitForPage("the GPU", (text) => hasAll(text, "ok", 1));
    expect(countSeries(page, temperature)).toBe(1);
    expect(collector.log).toContainEqual(
      expect.objectContaining({ level: "error", msg: "counters file cannot be read, the default list is used" }),
    );
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
