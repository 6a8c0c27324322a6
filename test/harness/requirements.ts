import { findSystemProgram, isRoot } from "../../scripts/system-packages.ts";
import { ensureTestServers, findTestProgram, type TestProgram } from "../../scripts/test-servers.ts";

export type Requirement = "root" | "sandbox" | TestProgram;

/**
 * For `test.skipIf(await lacks("root", "prometheus"))`: true where a part is missing, having said which. With CI set a
 * missing part is an error, so nothing is skipped unnoticed.
 */
export async function lacks(...requirements: readonly Requirement[]): Promise<boolean> {
  const missing: string[] = [];
  for (const requirement of requirements) if (!(await has(requirement))) missing.push(requirement);
  if (missing.length === 0) return false;
  const message = `needs ${missing.join(" and ")}, which is not available here`;
  if (process.env["CI"]) throw new Error(message);
  console.warn(`skipping: ${message}`);
  return true;
}

async function has(requirement: Requirement): Promise<boolean> {
  if (requirement === "root") return isRoot();
  if (requirement === "sandbox") {
    return isRoot() && ["bwrap", "setpriv", "prlimit"].every((program) => findSystemProgram(program) !== undefined);
  }
  return findTestProgram(requirement) !== undefined || !(await ensureTestServers()).includes(requirement);
}
