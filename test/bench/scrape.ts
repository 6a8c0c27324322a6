/**
 * Measures the daemon beside Debian's prometheus-node-exporter, in the same run and in the same way: latency, CPU per
 * scrape including child processes, memory over many scrapes, first scrape after exec, four scrapers at once.
 *
 *   sh scripts/bun.sh test/bench/scrape.ts [--scrapes 2000] [--tree FOLDER] [--large] [--json FILE]
 *
 * --tree adds another machine, recorded as FOLDER/proc and FOLDER/sys (node_exporter's own fixtures are one), --large a
 * synthetic node with 224 CPUs (make-large-tree.ts). Prints Markdown tables for docs/benchmarks.md.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureBinary } from "../../scripts/binary.ts";
import { ensureTestServers, findTestProgram } from "../../scripts/test-servers.ts";
import { freePort } from "../../scripts/free-port.ts";
import { createWorkspace } from "../harness/workspace.ts";
import { measureExporters, type Exporter, type Measurement } from "./measure-exporter.ts";

const { values: options } = parseArgs({
  options: {
    scrapes: { type: "string", default: "2000" },
    tree: { type: "string" },
    large: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const scrapes = Number(options.scrapes);

/** Collectors that node_exporter 1.5.0 and the daemon both have and enable by default on a plain Linux machine. */
const shared = [
  ...["cpu", "cpufreq", "diskstats", "edac", "entropy", "filefd", "filesystem", "hwmon", "infiniband", "loadavg"],
  ...["meminfo", "netclass", "netdev", "netstat", "nvme", "os", "pressure", "schedstat", "sockstat", "softnet"],
  ...["stat", "thermal_zone", "time", "timex", "uname", "vmstat"],
];

const missing = await ensureTestServers();
const nodeExporter = findTestProgram("prometheus-node-exporter");
if (nodeExporter === undefined) throw new Error(`not available here: ${missing.join(", ")}`);
const binary = await ensureBinary();
using workspace = createWorkspace();

function exporters(label: string, roots: readonly string[]): Exporter[] {
  const only = ["--collector.disable-defaults", ...shared.map((name) => `--collector.${name}`)];
  const listen = (port: number): string => `--web.listen-address=127.0.0.1:${port}`;
  const ours = (port: number): string[] => [binary, "daemon", listen(port), ...stateFlags(port), ...roots];
  return [
    { label: `node_exporter 1.5.0, ${label}`, argv: (port) => [nodeExporter ?? "", listen(port), ...only, ...roots] },
    { label: `aami daemon, same collectors, ${label}`, argv: (port) => [...ours(port), ...only] },
    { label: `aami daemon, all defaults, ${label}`, argv: ours },
  ];
}

/** A state folder of its own: a benchmark must not meet the identity of a daemon that lives here. */
function stateFlags(port: number): string[] {
  const file = workspace.file(`daemon-${port}.yaml`);
  writeFileSync(file, `state_directory: ${workspace.file(`state-${port}`)}\n`);
  return ["--config", file];
}

const rootsIn = (folder: string): string[] => [`--path.procfs=${folder}/proc`, `--path.sysfs=${folder}/sys`];
const machines = [exporters("this machine", [])];
if (options.tree !== undefined) machines.push(exporters("recorded machine", rootsIn(resolve(options.tree))));
if (options.large) {
  const folder = workspace.file("large");
  Bun.spawnSync([process.execPath, `${import.meta.dir}/make-large-tree.ts`, folder], { stderr: "inherit" });
  machines.push(exporters("224 CPUs", rootsIn(folder)));
}

const results: Measurement[] = [];
for (const candidates of machines) {
  console.error(`measuring ${candidates.map(({ label }) => label).join("; ")}`);
  results.push(...(await measureExporters(candidates, { scrapes, findPort: freePort })));
}
if (options.json !== undefined) await Bun.write(options.json, JSON.stringify(results, undefined, 2));
console.log(`${new Date().toISOString().slice(0, 10)}, ${machine()}, ${scrapes} scrapes, gzip, one kept connection\n`);
console.log(toTable(results));

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, Linux ${Bun.spawnSync(["uname", "-r"]).stdout.toString().trim()}`;
}

function toTable(rows: readonly Measurement[]): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const columns: readonly [string, (row: Measurement) => string][] = [
    ["exporter", (row) => row.label],
    ["series", (row) => String(row.series)],
    ["median ms", (row) => row.backToBack.latencyMs.median.toFixed(2)],
    ["p99 ms", (row) => row.backToBack.latencyMs.p99.toFixed(2)],
    ["CPU ms/scrape", (row) => row.backToBack.cpuMsPerScrape.toFixed(2)],
    ["CPU ms/scrape, paced 0.5 s", (row) => row.paced.cpuMsPerScrape.toFixed(2)],
    ["4 scrapers: scrapes/s", (row) => row.concurrent.scrapesPerSecond.toFixed(0)],
    ["4 scrapers: p99 ms", (row) => row.concurrent.latencyMs.p99.toFixed(2)],
    ["4 scrapers: CPU ms/scrape", (row) => row.concurrent.cpuMsPerScrape.toFixed(2)],
    ["first page after exec ms", (row) => row.firstPageMs.median.toFixed(0)],
    ["RSS MB at 200", (row) => mebibytes(row.memoryWhenWarm.root.rssBytes)],
    ["RSS MB at end", (row) => mebibytes(row.memoryAtEnd.root.rssBytes)],
    ["PSS MB at end", (row) => mebibytes(row.memoryAtEnd.root.pssBytes)],
    ["PSS MB with children", (row) => mebibytes(row.memoryAtEnd.tree.pssBytes)],
    ["processes", (row) => String(row.memoryAtEnd.processes)],
    ["idle CPU ms per 10 s", (row) => row.idleCpuMsPer10s.toFixed(0)],
  ];
  const head = `| | ${rows.map((row) => row.label).join(" | ")} |\n|---|${rows.map(() => "---:|").join("")}`;
  const lines = columns.slice(1).map(([name, value]) => `| ${name} | ${rows.map(value).join(" | ")} |`);
  return [head, ...lines].join("\n");
}
