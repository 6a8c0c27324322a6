/**
 * What the daemon costs on a GPU node with all it takes the place of: the synthetic tree of make-large-tree.ts (224 CPUs,
 * 8 InfiniBand ports), eight GPUs of the scripted NVML library, ten NVMe drives of a scripted smartctl. These answer at
 * once: it is the cost of our side, not of a driver or a disk. Prints Markdown tables for docs/benchmarks.md.
 *
 *   sh scripts/bun.sh test/bench/gpu-node.ts [--scrapes 1000] [--seconds 180]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureBinary } from "../../scripts/binary.ts";
import { buildNvmlLibrary } from "../equipment/nvml/library.ts";
import { writeScriptedSmartctl } from "../equipment/smartctl.ts";
import { startDaemon, waitForPage, writeDaemonConfig } from "../harness/daemon.ts";
import { freePort } from "../../scripts/free-port.ts";
import { createWorkspace } from "../harness/workspace.ts";
import { measureExporters } from "./measure-exporter.ts";
import { type ProcessUsage, readTreeUsage } from "./process-tree.ts";

const { values: options } = parseArgs({
  options: { scrapes: { type: "string", default: "1000" }, seconds: { type: "string", default: "180" } },
});
const scrapeIntervalSeconds = 15;
const scrapes = Number(options.scrapes);
const rounds = Math.max(1, Math.round(Number(options.seconds) / scrapeIntervalSeconds));
const binary = await ensureBinary();
using workspace = createWorkspace();

const tree = workspace.file("large");
Bun.spawnSync([process.execPath, join(import.meta.dir, "make-large-tree.ts"), tree], { stderr: "inherit" });
writeScriptedSmartctl(workspace.file("smartctl"));
const library = buildNvmlLibrary({ workspace, script: ["gpus 8", "process 0 1 1000000", "process 1 1 1000000"] });
const config = {
  paths: { procfs: join(tree, "proc"), sysfs: join(tree, "sys") },
  collectors: {
    nvidia: { enabled: true, library: library.path, release_file: workspace.file("run/gpu-release") },
    smart: { enabled: true, smartctl_path: workspace.file("smartctl") },
  },
};
const file = await writeDaemonConfig(workspace, config);

const exporter = {
  label: "GPU node",
  argv: (port: number) => [binary, "daemon", "--config", file, `--web.listen-address=127.0.0.1:${port}`],
};
const [measured] = await measureExporters([exporter], { scrapes, findPort: freePort });
if (measured === undefined) throw new Error("nothing measured");
const { before, after } = await watchInService();

console.log(`| figure | value |\n|---|---:|`);
const row = (name: string, value: string): void => console.log(`| ${name} | ${value} |`);
row("series", String(measured.series));
row(
  "page, median / p99",
  `${measured.backToBack.latencyMs.median.toFixed(1)} / ${measured.backToBack.latencyMs.p99.toFixed(1)} ms`,
);
row("CPU per scrape, back to back", `${measured.backToBack.cpuMsPerScrape.toFixed(1)} ms`);
row("CPU per scrape, one each 0.5 s", `${measured.paced.cpuMsPerScrape.toFixed(1)} ms`);
row("first page after exec", `${measured.firstPageMs.median.toFixed(0)} ms`);
const seconds = rounds * scrapeIntervalSeconds;
console.log(`\nIn service for ${seconds} s, one scrape each ${scrapeIntervalSeconds} s, GPUs read each 10 s:\n`);
console.log("| process | RSS MiB | PSS MiB | private MiB | CPU, % of a core |\n|---|---:|---:|---:|---:|");
for (const part of after.parts) printPart(part, before.parts.find(({ pid }) => pid === part.pid)?.cpuSeconds ?? 0);
printPart({ ...after.tree, role: "together", pid: 0, cpuSeconds: after.cpuSeconds }, before.cpuSeconds);

/** The pace of a Prometheus; SMART and profiling metrics are on the page when it begins. */
async function watchInService() {
  using home = createWorkspace();
  await using daemon = await startDaemon({ workspace: home, config });
  const complete = ['smartctl_device_smart_status{device="nvme9"}', "DCGM_FI_PROF_GR_ENGINE_ACTIVE{"];
  await waitForPage(daemon, complete, 120);
  const { pid } = daemon.process;
  const start = readTreeUsage(pid);
  for (let round = 0; round < rounds; round++) {
    await Bun.sleep(scrapeIntervalSeconds * 1000);
    await (await daemon.get("/metrics", { headers: { "accept-encoding": "gzip" } })).bytes();
  }
  return { before: start, after: readTreeUsage(pid) };
}

function printPart({ role, cpuSeconds, ...memory }: ProcessUsage, cpuBefore: number): void {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const sizes = [memory.rssBytes, memory.pssBytes, memory.privateBytes].map(mebibytes);
  const share = (((cpuSeconds - cpuBefore) / seconds) * 100).toFixed(2);
  console.log(`| ${role} | ${[...sizes, share].join(" | ")} |`);
}
