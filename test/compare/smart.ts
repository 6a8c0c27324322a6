/**
 * Compares our SMART families with what smartctl_exporter 0.14.0 prints for the same smartctl reports. The reports are
 * third-party data in ../shared/fixtures/storage_ib.tar.xz: without it the script says so and ends with 2.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { deviceLabel, smartFamilies } from "../../collectors/smart/families.ts";
import { numberAt } from "../../collectors/smart/json.ts";
import { classify } from "../../collectors/smart/outcome.ts";

const archive = join(import.meta.dir, "../../../shared/fixtures/storage_ib.tar.xz");
if (!existsSync(archive)) {
  console.error(`compare: ${archive} is not here; nothing was compared`);
  process.exit(2);
}
const work = "/tmp/aami-compare";
mkdirSync(work, { recursive: true });
if (!existsSync(join(work, "storage_ib"))) Bun.spawnSync(["tar", "-xJf", archive, "-C", work]);

const samplesOf = (text: string): Set<string> =>
  new Set(text.split("\n").filter((line) => line !== "" && !/^#|^smartctl_(devices|version)\b/.test(line)));
const typesOf = (text: string): Set<string> =>
  new Set(text.split("\n").filter((line) => /^# (HELP|TYPE)/.test(line) && !/smartctl_(devices|version) /.test(line)));

let differing = 0;
for (const file of readdirSync(join(work, "storage_ib/smartctl_expected_prom")).sort()) {
  const name = file.replace(/\.prom$/, "");
  const wanted = readFileSync(join(work, "storage_ib/smartctl_expected_prom", file), "utf8");
  const stdout = readFileSync(join(work, "storage_ib/smartctl", `${name}.json`), "utf8");
  const outcome = classify(stdout, numberAt(JSON.parse(stdout), "smartctl", "exit_status") ?? 0);
  const families = outcome.state === "ok" ? smartFamilies(outcome.report, deviceLabel(outcome.report)) : [];
  const text = encodeFamilies(families)
    .map((family) => family.text)
    .join("");
  const missing = [...samplesOf(wanted), ...typesOf(wanted)].filter((line) => !text.includes(`${line}\n`));
  const extra = [...samplesOf(text), ...typesOf(text)].filter((line) => !wanted.includes(`${line}\n`));
  console.log(
    `${name}: ${outcome.state}, wanted ${samplesOf(wanted).size}, missing ${missing.length}, extra ${extra.length}`,
  );
  for (const line of missing.slice(0, 10)) console.log(`  - ${line}`);
  for (const line of extra.slice(0, 10)) console.log(`  + ${line}`);
  if (missing.length + extra.length > 0) differing++;
}
console.log(`${differing} reports differ`);
