/**
 * CPU time of the collector process without the daemon: every enabled collector, run and encoded again and again in
 * this process.
 *
 *   sh scripts/bun.sh test/bench/collectors.ts [--rounds 300] [--pause-ms 0] [--root DIR] [--flag=--collector.X …]
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
const known = new Set(onPage.map(({ name }) => name));
const collectors = Object.fromEntries([...enabledCollectors(config)].filter(([name]) => known.has(name)));
const { procfs: procPath, sysfs: sysPath, rootfs: rootPath, udev_data: udevDataPath } = config.paths;
const jobs = createCollectJobs(collectorDefinitions, {
  paths: { procPath, sysPath, rootPath, udevDataPath },
  collectors,
});

/** The series of one run. */
async function collect(name: string): Promise<number> {
  const result = await jobs["collect"]?.(undefined, { job: `collect ${name}`, deadlineMs: 5000, step: () => {} });
  return Number(result?.header?.["series"] ?? 0);
}

const pauseMs = Number(options["pause-ms"]);

/** Milliseconds of one run, less the pauses; asking for the time costs some microseconds itself. */
async function measure(work: () => Promise<void>): Promise<{ user: number; system: number }> {
  const total = { user: 0, system: 0 };
  for (let count = 0; count < rounds; count++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    total.user += user;
    total.system += system;
    if (pauseMs > 0) await Bun.sleep(pauseMs);
  }
  return { user: total.user / rounds / 1000, system: total.system / rounds / 1000 };
}

const names = Object.keys(collectors);
const round = async (): Promise<void> => {
  for (const name of names) await collect(name);
};
for (let count = 0; count < 100; count++) await round();
const { user, system } = await measure(round);
console.log(`all: user ${user.toFixed(2)} ms, system ${system.toFixed(2)} ms a round`);
const costs = [];
for (const name of names) {
  const cost = await measure(async () => void (await collect(name)));
  costs.push({ name, milliseconds: cost.user + cost.system, series: await collect(name) });
}
for (const { name, milliseconds, series } of costs.sort((a, b) => b.milliseconds - a.milliseconds)) {
  console.log(`${name.padEnd(24)} ${milliseconds.toFixed(3)} ms  ${series} series`);
}
process.exit();
