/**
 * Compares single collectors with node_exporter 1.12.1's own end-to-end page on its fixture tree.
 *
 *   bun test/compare/collectors.ts loadavg cpu …
 *
 * The fixture is third-party data and not part of this repository: without ../shared/fixtures the script says so and
 * ends with 2. Families are attributed to collectors by ../shared/reference/node_exporter/families*.tsv.
 */
import { Value } from "@sinclair/typebox/value";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";
import { collectorDefinitions } from "../../collectors/registry.ts";

const shared = join(import.meta.dir, "../../../shared");
const archive = join(shared, "fixtures/node_exporter-1.12.1.tar.xz");
if (!existsSync(archive)) {
  console.error(`compare: ${archive} is not here; nothing was compared`);
  process.exit(2);
}
const work = "/tmp/aami-compare";
if (!existsSync(join(work, "fixtures/proc"))) {
  mkdirSync(work, { recursive: true });
  Bun.spawnSync(["tar", "-xJf", archive, "-C", work]);
}
const root = join(work, "fixtures");
process.chdir(root);

const skips: string[] = [];
const host: Host = {
  procPath: `${root}/proc`,
  sysPath: `${root}/sys`,
  rootPath: root,
  udevDataPath: `${root}/udev/data`,
  run: () => Promise.reject(new Error("no programs on the fixture host")),
  skipped: (what, error) => void skips.push(`${what}: ${String(error)}`),
};

/** The options that upstream's end-to-end test sets, by collector. */
const upstreamOptions: Record<string, Record<string, unknown>> = {
  cpu: {
    info: true,
    info_bugs_include: "^(cpu_meltdown|spectre_.*|mds)$",
    info_flags_include: "^(aes|avx.?|constant_tsc)$",
  },
  arp: { device_exclude: "nope", netlink: false },
  bcache: { priority_stats: true },
  hwmon: { chip_include: "(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)" },
  netclass: { ignore_invalid_speed: true, ignored_devices: "(dmz|int)" },
  netdev: { device_include: "lo" },
  qdisc: { device_include: "(wlan0|eth0)", fixtures: `${root}/qdisc/` },
  wifi: { fixtures: `${root}/wifi` },
  stat: { softirq: true },
  sysctl: {
    include_info: ["kernel.seccomp.actions_avail"],
    include: ["fs.file-nr", "fs.file-nr:total,current,max", "kernel.threads-max"],
  },
  textfile: { directory: [`${root}/textfile/two_metric_files/`] },
};

const ownerOf = new Map<string, string>();
for (const table of ["families.tsv", "families_default_disabled.tsv"]) {
  for (const line of readFileSync(join(shared, "reference/node_exporter", table), "utf8")
    .split("\n")
    .slice(1)) {
    const [family, , , , collector] = line.split("\t");
    if (family && collector) ownerOf.set(family, collector);
  }
}

const wantedNames = process.argv.slice(2);
const wanted = readFileSync(join(root, "e2e-output.txt"), "utf8").replaceAll("collector/fixtures", root).split("\n");
let failed = false;
for (const name of wantedNames) {
  const definition = collectorDefinitions.find((candidate) => candidate.name === name);
  if (definition === undefined) {
    console.log(`${name}: not in the registry`);
    failed = true;
    continue;
  }
  const options = Value.Default(definition.options, { ...upstreamOptions[name] }) as Record<string, unknown>;
  const collector = definition.create(options as never);
  const detected = await collector.detect(host);
  let text = "";
  try {
    if (detected.supported) {
      text = encodeFamilies(await collector.collect(host, AbortSignal.timeout(10_000)))
        .map((family) => family.text)
        .join("");
    }
  } catch (error) {
    console.log(`${name}: collect threw`, error);
    failed = true;
  }
  const got = new Set(text.split("\n").filter(Boolean));
  const gotFamilies = new Set(
    [...got].filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" ")[2] ?? ""),
  );
  const belongs = (line: string): boolean => {
    const metric = line.startsWith("# ") ? (line.split(" ")[2] ?? "") : (/^[a-zA-Z0-9_:]+/.exec(line)?.[0] ?? "");
    const base = metric.replace(/_(bucket|sum|count)$/, "");
    return (
      ownerOf.get(metric) === name || ownerOf.get(base) === name || (gotFamilies.has(metric) && !ownerOf.has(metric))
    );
  };
  const want = new Set(wanted.filter((line) => line !== "" && belongs(line)));
  const missing = [...want].filter((line) => !got.has(line));
  const extra = [...got].filter((line) => !want.has(line));
  if (missing.length + extra.length > 0 || !detected.supported) failed = true;
  console.log(
    `${name}: wanted ${want.size} lines (with HELP and TYPE), missing ${missing.length}, extra ${extra.length}` +
      (detected.supported ? "" : `, absent: ${detected.reason}`),
  );
  for (const line of missing.slice(0, 40)) console.log(`  - ${line}`);
  for (const line of extra.slice(0, 40)) console.log(`  + ${line}`);
}
for (const line of skips) console.log(`  skipped ${line}`);
process.exit(failed ? 1 : 0);
