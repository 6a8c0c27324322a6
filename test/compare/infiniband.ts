/**
 * Compares our node_infiniband_* families with what node_exporter prints for the ports of an H100 node. The tree is
 * third-party data in ../shared/fixtures/storage_ib.tar.xz: without it the script says so and ends with 2.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { infiniband } from "../../collectors/infiniband.ts";

const archive = join(import.meta.dir, "../../../shared/fixtures/storage_ib.tar.xz");
if (!existsSync(archive)) {
  console.error(`compare: ${archive} is not here; nothing was compared`);
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), "aami-compare-"));
Bun.spawnSync(["tar", "-xJf", archive, "-C", work]);
mkdirSync(join(work, "sys/class"), { recursive: true });
symlinkSync(join(work, "storage_ib/ib_sysfs_h100"), join(work, "sys/class/infiniband"));

const collector = infiniband.create({ device_include: "", device_exclude: "" });
const skipped: string[] = [];
const host = {
  procPath: "/proc",
  sysPath: join(work, "sys"),
  rootPath: "/",
  udevDataPath: "/run/udev/data",
  run: () => Promise.reject(new Error("no programs")),
  skipped: (what: string) => void skipped.push(what),
};
const families = await collector.collect(host, AbortSignal.timeout(10_000));
const ours = linesOf(
  encodeFamilies(families)
    .map(({ text }) => text)
    .join(""),
);
const theirs = linesOf(readFileSync(join(work, "storage_ib/ib_h100_expected.prom"), "utf8"));
rmSync(work, { recursive: true });

const missing = [...theirs].filter((line) => !ours.has(line));
const extra = [...ours].filter((line) => !theirs.has(line));
console.log(
  `${theirs.size} lines wanted, missing ${missing.length}, extra ${extra.length}, unreadable ${skipped.length}`,
);
for (const line of missing.slice(0, 20)) console.log(`  - ${line}`);
for (const line of extra.slice(0, 20)) console.log(`  + ${line}`);
process.exit(missing.length + extra.length === 0 ? 0 : 1);

/** Without the lifespan of counters: node_exporter rounds its 12 ms down to 0 s. */
function linesOf(text: string): Set<string> {
  const lines = text.split("\n").filter((line) => /^(# (HELP|TYPE) )?node_infiniband_/.test(line));
  return new Set(lines.filter((line) => !line.startsWith("node_infiniband_lifespan_seconds{")));
}
