import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { type CollectorDefinition, NoDataError } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";
import { collectorDefinitions } from "../../collectors/registry.ts";
import { promtoolComplaints } from "../harness/prometheus.ts";
import { lacks } from "../harness/requirements.ts";

const fixtures = join(import.meta.dir, "../fixtures");
const golden = join(import.meta.dir, "../golden");
const hosts = readdirSync(fixtures).filter((name) => name.startsWith("host-"));

/** Collectors that ask this machine's kernel or services instead of reading files. */
const volatileCollectors = new Set([
  ...["uname", "timex", "tcpstat", "network_route", "qdisc", "ethtool", "wifi", "perf"],
  ...["ntp", "systemd", "logind", "supervisord", "runit"],
]);
/** Families that hold the time of day, a file's age, or this machine's page size. */
const volatileFamilies = new Set([
  ...["node_time_seconds", "node_time_zone_offset_seconds", "node_textfile_mtime_seconds"],
  ...["node_sockstat_TCP_mem_bytes", "node_sockstat_UDP_mem_bytes"],
]);

const optionsOn = (root: string): Record<string, Record<string, unknown>> => ({
  arp: { netlink: false },
  cpu: { info: true, info_flags_include: "^avx", info_bugs_include: "^spectre" },
  netdev: { netlink: false },
  stat: { softirq: true },
  sysctl: { include: ["fs.file-nr:total,current,max"], include_info: ["kernel.pid_max"] },
  textfile: { directory: [`${root}/textfile`] },
});

const noPromtool = await lacks("promtool");

describe.each(hosts)("%s", (name) => {
  test("the whole page", async () => {
    const page = await render(join(fixtures, name));
    const path = join(golden, `${name}.metrics`);
    // UPDATE_GOLDEN=1 writes what is then to be read in the diff.
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, page);
    expect(page.split("\n")).toEqual(existsSync(path) ? readFileSync(path, "utf8").split("\n") : []);
  });

  test.skipIf(noPromtool)("promtool objects to nothing but names that are not ours to choose", async () => {
    const complaints = await promtoolComplaints(readFileSync(join(golden, `${name}.metrics`), "utf8"));
    expect(complaints.filter((complaint) => !/'snake_case'|instead of "bits"$/.test(complaint))).toEqual([]);
  });
});

test("no golden page without its host", () => {
  const pages = readdirSync(golden).filter((file) => file.startsWith("host-"));
  expect(pages.sort()).toEqual(hosts.map((name) => `${name}.metrics`).sort());
});

/** Every collector's families; as comments what failed and what was left out. */
async function render(root: string): Promise<string> {
  const host: Host = {
    procPath: `${root}/proc`,
    sysPath: `${root}/sys`,
    rootPath: root,
    udevDataPath: `${root}/run/udev/data`,
    run: () => Promise.reject(new Error("no programs on a fixture host")),
    skipped: (what, error) => void skipped.push(`# skipped ${what}: ${String(error)}\n`),
  };
  const skipped: string[] = [];
  const failures: string[] = [];
  const families = [];
  for (const definition of collectorDefinitions) {
    if (definition.background || volatileCollectors.has(definition.name)) continue;
    const options = Value.Default(definition.options, { ...optionsOn(root)[definition.name] });
    const { failure, result } = await run(definition.create(options as never), host);
    if (failure !== undefined) failures.push(`# collector ${definition.name} failed: ${failure}\n`);
    families.push(...result);
  }
  const encoded = encodeFamilies(families.filter((family) => !volatileFamilies.has(family.name)));
  const text = [...failures, ...skipped, ...encoded.map((family) => family.text)].join("");
  return text.replaceAll(root, "");
}

async function run(collector: ReturnType<CollectorDefinition["create"]>, host: Host) {
  if (!(await collector.detect(host)).supported) return { result: [] };
  try {
    return { result: await collector.collect(host, AbortSignal.timeout(5000)) };
  } catch (error) {
    return error instanceof NoDataError ? { result: [] } : { result: [], failure: String(error) };
  }
}
