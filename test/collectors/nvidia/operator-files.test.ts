import { expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { countSeries, hasAll, sampledAt, startCollector } from "./running-collector.ts";

const temperature = "DCGM_FI_DEV_GPU_TEMP";
const limitMs = 60_000;

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
