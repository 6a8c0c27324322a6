/**
 * CPU and memory of the process that reads the GPUs, with eight scripted GPUs: the library answers at once, so this is
 * the cost of our side alone. Prints a Markdown table for docs/benchmarks.md.
 *
 *   sh scripts/bun.sh test/bench/nvml-helper.ts [--interval 10] [--seconds 120]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildNvmlLibrary } from "../equipment/nvml/library.ts";
import { startDaemon, waitForPage } from "../harness/daemon.ts";
import { createWorkspace } from "../harness/workspace.ts";
import { readTreeUsage } from "./process-tree.ts";

const { values: options } = parseArgs({
  options: { interval: { type: "string", default: "10" }, seconds: { type: "string", default: "120" } },
});
const intervalSeconds = Number(options.interval);
const seconds = Number(options.seconds);

using workspace = createWorkspace();
const library = buildNvmlLibrary({ workspace, script: ["gpus 8", "process 0 1 1000000", "process 1 1 1000000"] });
const nvidia = {
  library: library.path,
  interval_seconds: intervalSeconds,
  release_file: workspace.file("run/release"),
};
await using daemon = await startDaemon({
  workspace,
  config: { scrape: { disable_default_collectors: true }, collectors: { nvidia: { enabled: true, ...nvidia } } },
});
await waitForPage(daemon, ["DCGM_FI_PROF_GR_ENGINE_ACTIVE{"], 60);
const helperPid = Number(library.journal().at(-1)?.split(" ")[1]);
const pages = await measurePages(200);
const before = { daemon: ownSeconds(daemon.process.pid), helper: ownSeconds(helperPid) };
await Bun.sleep(seconds * 1000);
const after = { daemon: ownSeconds(daemon.process.pid), helper: ownSeconds(helperPid) };
const rounds = seconds / intervalSeconds;
const { rssBytes, pssBytes } = readTreeUsage(helperPid).root;
const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);

library.script("gpus 8", "gpu 3 block nvmlDeviceGetPowerUsage");
await waitForPage(daemon, ["aami_gpu_trouble_info"], 60);
const sickPages = await measurePages(200);

console.log(`| figure, 8 GPUs, every ${intervalSeconds} s | value |`);
console.log("|---|---|");
console.log(`| CPU of the helper per round | ${(((after.helper - before.helper) / rounds) * 1000).toFixed(1)} ms |`);
console.log(`| CPU of the helper | ${(((after.helper - before.helper) / seconds) * 100).toFixed(3)} % of one core |`);
console.log(
  `| CPU of the daemon meanwhile | ${(((after.daemon - before.daemon) / seconds) * 100).toFixed(3)} % of one core |`,
);
console.log(`| memory of the helper, RSS / PSS | ${mebibytes(rssBytes)} / ${mebibytes(pssBytes)} MiB |`);
console.log(`| page of this collector alone, p50 / p99 | ${pages} |`);
console.log(`| the same with one GPU stuck | ${sickPages} |`);

/** User and system time of one process without its children. */
function ownSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measurePages(count: number): Promise<string> {
  const durations: number[] = [];
  for (let scrape = 0; scrape < count; scrape++) {
    const started = performance.now();
    await daemon.page();
    durations.push(performance.now() - started);
  }
  durations.sort((a, b) => a - b);
  const at = (quantile: number): string => (durations[Math.floor(quantile * (count - 1))] ?? Number.NaN).toFixed(1);
  return `${at(0.5)} / ${at(0.99)} ms`;
}
