/**
 * CPU time of the collector process without the daemon: every enabled collector, run and encoded again and again in
 * this process.
 *
 *   sh scripts/bun.sh test/bench/collectors.ts [--rounds 300] [--pause-ms 0] [--root DIR] [--flag --collector.X …]
 *
 * --root is a folder of make-large-tree.ts. A pause between rounds shows what cold caches cost.
 */
import { parseArgs } from "node:util";
import { createCollectJobs } from "../../collectors/process.ts";
import { collectorDefinitions } from "../../collectors/registry.ts";
import { parseCommandLine } from "../../daemon/command-line.ts";
import { enabledCollectors } from "../../daemon/config.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "300" },
    "pause-ms": { type: "string", default: "0" },
    root: { type: "string" },
    flag: { type: "string", multiple: true, default: [] },
  },
});
const rounds = Number(options.rounds);
const roots =
  options.root === undefined ? [] : [`--path.procfs=${options.root}/proc`, `--path.sysfs=${options.root}/sys`];
const commandLine = parseCommandLine([...roots, ...options.flag]);
if (commandLine.action === "print") throw new Error("flags that print");
const { config } = commandLine.load();
const onPage = collectorDefinitions.filter((definition) => !definition.background && !definition.forChecks);
const names = new Set(onPage.map(({ name }) => name));
const collectors = Object.fromEntries([...enabledCollectors(config)].filter(([name]) => names.has(name)));
const { procfs: procPath, sysfs: sysPath, rootfs: rootPath, udev_data: udevDataPath } = config.paths;
const jobs = createCollectJobs(collectorDefinitions, {
  paths: { procPath, sysPath, rootPath, udevDataPath },
  collectors,
});

interface Cost {
  milliseconds: number;
  series: number;
}
const costs = new Map<string, Cost>();

async function round(): Promise<void> {
  for (const name of Object.keys(collectors)) {
    const before = process.cpuUsage();
    const result = await jobs["collect"]?.(undefined, { job: `collect ${name}`, deadlineMs: 5000, step: () => {} });
    const cost = costs.get(name) ?? { milliseconds: 0, series: 0 };
    const { user, system } = process.cpuUsage(before);
    cost.milliseconds += (user + system) / 1000;
    cost.series = Number(result?.header?.["series"] ?? 0);
    costs.set(name, cost);
  }
}

for (let count = 0; count < 100; count++) await round();
costs.clear();
let user = 0;
let system = 0;
for (let count = 0; count < rounds; count++) {
  const before = process.cpuUsage();
  await round();
  const used = process.cpuUsage(before);
  user += used.user;
  system += used.system;
  if (Number(options["pause-ms"]) > 0) await Bun.sleep(Number(options["pause-ms"]));
}

const rows = [...costs].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
for (const [name, { milliseconds, series }] of rows) {
  console.log(`${name.padEnd(24)} ${(milliseconds / rounds).toFixed(3)} ms  ${series} series`);
}
const perRound = (microseconds: number): string => (microseconds / rounds / 1000).toFixed(2);
console.log(`user ${perRound(user)} ms, system ${perRound(system)} ms a round`);
process.exit();
