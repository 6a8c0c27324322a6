import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type CheckRun, noRun } from "../../checks/check.ts";
import type { Sandbox } from "../../checks/sandbox/sandbox.ts";
import { openSandbox } from "../../checks/sandbox/sandbox.ts";
import { testSandbox } from "../../checks/self-test.ts";
import { createLogger } from "../../runtime/log.ts";
import { systemClock } from "../../checks/clock.ts";
import { createChecks } from "../../checks/service.ts";
import { ChecksConfig } from "../../checks/config.ts";
import { parseConfig } from "../../runtime/config.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { waitFor } from "../harness/wait.ts";
import { defineScript } from "./definitions.ts";
import { lacksSandbox, openTestSandbox } from "./sandbox-fixture.ts";

const skip = await lacksSandbox();
const state = skip ? "" : mkdtempSync("/var/lib/aami-test-");
afterAll(() => rmSync(state, { recursive: true, force: true }));
const never = new AbortController().signal;

test.skipIf(skip).each(["auto", "off"] as const)("the real sandbox holds its self-test, cgroup %s", async (cgroup) => {
  const { sandbox } = openTestSandbox(cgroup, { stateDirectory: state });
  expect(await testSandbox(sandbox, never)).toEqual([]);
});

/** Changes the user and nothing else: what a sandbox that protects little would do. */
const noSandbox: Sandbox = {
  facts: { user: "nobody", cgroup: "none", kernelLimits: [] },
  user: { name: "nobody", uid: 65534, gid: 65534 },
  run: async ({ script, config }): Promise<CheckRun> => {
    // The pid namespace is there to end what the script leaves behind.
    const user = [
      "unshare",
      "--pid",
      "--fork",
      "--kill-child",
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
    ];
    const child = Bun.spawn([...user, "bash", "-c", new TextDecoder().decode(script)], {
      env: { CONFIG: JSON.stringify(config), PATH: process.env["PATH"], SECRET: "x" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      cwd: "/",
    });
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.bytes(), child.stderr.bytes(), child.exited]);
    const outcome = exitCode === 0 ? "ok" : "exit";
    return { outcome, exitCode, durationSeconds: 0, stdout, stderr, message: "", leftBehind: false };
  },
};

test("a self-test that is called off starts nothing more", async () => {
  const abort = new AbortController();
  const started: string[] = [];
  const run = async ({ name }: { name: string }): Promise<CheckRun> => {
    started.push(name);
    abort.abort();
    return noRun("timeout", "called off");
  };
  await expect(testSandbox({ ...noSandbox, run }, abort.signal)).rejects.toThrow("aborted");
  expect(started).toEqual(["aami-self-test"]);
});

test.skipIf(skip)("walls that are not there are noticed", async () => {
  const failures = (await testSandbox(noSandbox, never)).map((line) => line.split(":")[0]);
  expect(failures).toContain("no_new_privileges");
  expect(failures).toContain("seccomp");
  expect(failures).toContain("capabilities");
  expect(failures).toContain("environment");
  expect(failures).toContain("network");
  expect(failures).toContain("memory");
  expect(failures).not.toContain("uid");
});

test("a sandbox that could not start, or broke off half-way, has proved nothing", async () => {
  const silent = (stdout: string, outcome: CheckRun["outcome"]): Sandbox => ({
    ...noSandbox,
    run: async () => ({
      ...{ outcome, exitCode: 0, durationSeconds: 0, message: "why", leftBehind: false },
      ...{ stdout: new TextEncoder().encode(stdout), stderr: new Uint8Array() },
    }),
  });
  expect(await testSandbox(silent("", "sandbox_error"), never)).toContain(
    "the self-test ended with sandbox_error: why",
  );
  const broken = await testSandbox(silent("uid held\n", "ok"), never);
  expect(broken).toContain("network: not shown to hold");
  expect(broken).toContain("stderr: not shown to hold");
  expect(broken).not.toContain("uid: not shown to hold");
  expect(await testSandbox(silent("uid open is '0', not '999'\n", "ok"), never)).toContain("uid: is '0', not '999'");
});

test("every reason why there can be no sandbox comes with its remedy", () => {
  const options = { concurrency: 1, cgroup: "off", memoryBytes: 1 } as const;
  const without = openSandbox({ ...options, user: "aami-nobody" });
  expect("problems" in without && without.problems.join()).toContain("useradd --system --no-create-home");
  const asRoot = openSandbox({ ...options, user: "root" });
  expect("problems" in asRoot && asRoot.problems.join()).toContain("is root");
});

const configWith = (text: string) => parseConfig(ChecksConfig, text, "test");

test("without a sandbox checks fail closed: never run, on the page, said once", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => void lines.push(line) });
  const checks = createChecks({ config: configWith("{user: aami-nobody, local_directory: ''}"), nodeId: "n", log });
  checks.replace([defineScript("touch /tmp/aami-must-not-run", { schedule: { intervalSeconds: 5 } })]);
  const page = () =>
    encodeFamilies(checks.families())
      .map(({ text }) => text)
      .join("");
  await waitFor("the result", () => page().includes('aami_check_error{check="demo",reason="sandbox_error"} 1\n'));
  expect(page()).toContain("aami_sandbox_ok 0\n");
  expect(checks.status()[0]?.result?.message).toContain("no user aami-nobody");
  expect(lines.filter((line) => line.includes("no sandbox, checks do not run"))).toHaveLength(1);
  expect(await Bun.file("/tmp/aami-must-not-run").exists()).toBe(false);
  await checks.stop();
});

test.skipIf(skip)("what was missing and is there later is found without a restart", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => void lines.push(line) });
  const config = { ...configWith("{local_directory: ''}"), user: "aami-nobody" };
  let aheadSeconds = 0;
  const clock = { ...systemClock, monotonicSeconds: () => systemClock.monotonicSeconds() + aheadSeconds };
  const checks = createChecks({ config, nodeId: "n", stateDirectory: state, log, clock });
  const again = () =>
    checks.replace([defineScript(`echo "answer ${aheadSeconds}"`, { schedule: { intervalSeconds: 5 } })]);
  again();
  await waitFor("the failure", () => checks.sandbox().ok === false);
  aheadSeconds = 400;
  again();
  await waitFor("the second failure", () => lines.length > 0 && checks.sandbox().ok === false);
  config.user = configWith("{}").user;
  aheadSeconds = 800;
  again();
  await waitFor("the sandbox", () => checks.sandbox().ok === true);
  expect(lines.filter((line) => line.includes("no sandbox, checks do not run"))).toHaveLength(1);
  await checks.stop();
});

test.skipIf(skip)("a service with a sandbox publishes what its checks print", async () => {
  const log = createLogger({ write: () => {} });
  const config = configWith(`{local_directory: '', textfile_directory: ${state}}`);
  const checks = createChecks({ config, nodeId: "n", stateDirectory: state, log });
  checks.replace([defineScript('echo "answer{path=\\"/data\\"} 42"', { schedule: { intervalSeconds: 5 } })]);
  const page = () =>
    encodeFamilies(checks.families())
      .map(({ text }) => text)
      .join("");
  await waitFor("the result", () => page().includes('answer{check="demo",path="/data"} 42\n'));
  expect(page()).toContain("aami_sandbox_ok 1\n");
  const textfile = join(state, "aami_checks.prom");
  expect(readFileSync(textfile, "utf8")).toContain('answer{check="demo",path="/data"} 42\n');
  expect(statSync(textfile).mode & 0o777).toBe(0o644);
  checks.replace([]);
  expect(readFileSync(textfile, "utf8")).not.toContain("demo");
  await checks.stop();
  expect(existsSync(textfile)).toBe(false);
});
