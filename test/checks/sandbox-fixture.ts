import { Value } from "@sinclair/typebox/value";
import { readdirSync, readFileSync } from "node:fs";
import { type CheckDefinition, type CheckRun, sha256Hex } from "../../checks/check.ts";
import { CheckLimits } from "../../checks/config.ts";
import { createCheckRunner } from "../../checks/runner.ts";
import { openSandbox, type Sandbox } from "../../checks/sandbox/sandbox.ts";
import { lacks } from "../harness/requirements.ts";

export const checkUser = "aami-check";

/** True where the real sandbox cannot run; with CI set that is an error. */
export async function lacksSandbox(): Promise<boolean> {
  if (await lacks("root", "sandbox")) return true;
  if (readFileSync("/etc/passwd", "utf8").includes(`\n${checkUser}:`)) return false;
  const message = `needs the user ${checkUser}: useradd --system --no-create-home --shell /usr/sbin/nologin ${checkUser}`;
  if (process.env["CI"]) throw new Error(message);
  console.warn(`skipping: ${message}`);
  return true;
}

export interface Finished extends Omit<CheckRun, "stdout" | "stderr"> {
  readonly out: string;
  readonly err: string;
}

export interface TestSandbox {
  readonly sandbox: Sandbox;
  run(script: string, changes?: Partial<CheckDefinition>): Promise<Finished>;
}

export function openTestSandbox(
  cgroup: "auto" | "off",
  { limits = {}, stateDirectory }: { limits?: Partial<CheckLimits>; stateDirectory: string },
): TestSandbox {
  const state = openSandbox({ user: checkUser, concurrency: 8, cgroup, memoryBytes: 2 ** 30, stateDirectory });
  if ("problems" in state) throw new Error(state.problems.join("; "));
  const defaults: unknown = Value.Default(CheckLimits, {});
  if (!Value.Check(CheckLimits, defaults)) throw new Error("the defaults do not fit the schema");
  const runner = createCheckRunner(state.sandbox, { ...defaults, ...limits });
  let number = 0;
  return {
    sandbox: state.sandbox,
    run: async (text, changes = {}) => {
      const script = new TextEncoder().encode(text);
      const { stdout, stderr, ...run } = await runner.run(
        {
          name: `${testChecks}${number++}`,
          language: "bash",
          script,
          scriptSha256: sha256Hex(script),
          config: {},
          schedule: { intervalSeconds: 60 },
          timeoutSeconds: 60,
          permissions: {},
          source: "command",
          ...changes,
        },
        new AbortController().signal,
      );
      return { ...run, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    },
  };
}

/** What the names of this process's checks begin with. */
export const testChecks = `test-${process.pid}-`;

/**
 * Processes of the check user that are alive and belong to such checks: a daemon or other tests on the same machine have
 * theirs. Zombies, which nobody may reap here, are dead.
 */
export function survivors(uid: number, checks: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^[0-9]+$/.test(pid)) return [];
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const alive = !/^State:\s+[ZX]/m.test(status) && new RegExp(`^Uid:\\s+${uid}\\b`, "m").test(status);
      const isOurs = readFileSync(`/proc/${pid}/environ`, "latin1").includes(`CHECK_NAME=${checks}`);
      return alive && isOurs ? [`${pid} ${/^Name:\s+(.*)$/m.exec(status)?.[1] ?? ""}`] : [];
    } catch {
      return []; // it ended while we looked
    }
  });
}
