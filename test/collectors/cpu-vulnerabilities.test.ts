import { expect, test } from "bun:test";
import { cpuVulnerabilities, parseVulnerability } from "../../collectors/cpu-vulnerabilities.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

test.each([
  ["Not affected\n", "not affected", ""],
  ["Vulnerable\n", "vulnerable", ""],
  ["Vulnerable: No microcode\n", "vulnerable", "No microcode"],
  ["Mitigation: PTI;  SMT vulnerable\n", "mitigation", "PTI; SMT vulnerable"],
  ["Unknown: No mitigations\n", "unknown", "No mitigations"],
  ["KVM: Vulnerable: VMX enabled\n", "unknown", "KVM: Vulnerable: VMX enabled"],
])("%j", (text, state, mitigation) => {
  expect(parseVulnerability(text)).toEqual({ state, mitigation });
});

test("one series for each file that can be read, none at all is a success", async () => {
  const folder = "sys/devices/system/cpu/vulnerabilities";
  const page = await collectFrom(cpuVulnerabilities, {
    [`${folder}/mds`]: "Not affected\n",
    [`${folder}/srbds`]: unreadable,
  });
  expect(page.series).toEqual(['node_cpu_vulnerabilities_info{codename="mds",mitigation="",state="not affected"} 1']);
  expect(page.skipped).toEqual([`${folder}/srbds`]);
  expect(await collectFrom(cpuVulnerabilities, {})).toMatchObject({ state: "ok", series: [] });
});
