import { existsSync } from "node:fs";
import type { CheckDefinition, CheckRun } from "./check.ts";
import { sha256Hex } from "./check.ts";
import type { GrantedPermissions } from "./permissions.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import probeScript from "./self-test.sh" with { type: "text" };

const granted: GrantedPermissions = {
  view: "minimal",
  paths: [],
  write: [],
  devices: [],
  memoryBytes: 32 * 1024 ** 2,
  pids: 32,
  outputBytes: 64 * 1024,
};
// Bash holds the whole string: twice the limit has to be too much.
const hogScript = 'x=$(head -c 67108864 /dev/zero | tr "\\0" x); echo "kept ${#x}"';
// Seconds on a busy machine, much more on an emulated one; a healthy machine needs a tenth of one.
const timeoutSeconds = 60;

/**
 * Runs a script in the real sandbox that tries what no check may do. Every line it returns is a wall that did not
 * hold; with a single one no check runs on this node. A sandbox that silently protects less is worse than none.
 */
export async function testSandbox(sandbox: Sandbox, signal: AbortSignal): Promise<string[]> {
  using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const abstractName = `aami-self-test-${process.pid}-${Bun.nanoseconds()}`;
  using abstractListener = Bun.listen({ unix: `\0${abstractName}`, socket: { data: () => {} } });
  const config = {
    uid: sandbox.user.uid,
    gid: sandbox.user.gid,
    port: listener.port,
    abstract: abstractListener.unix === undefined ? "" : abstractName,
    python: existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "",
  };
  const probe = await sandbox.run(define("aami-self-test", probeScript, config), granted, signal);
  signal.throwIfAborted();
  const hog = await sandbox.run(define("aami-self-test-memory", hogScript, {}), granted, signal);
  return [...probeFailures(probe), ...hogFailures(hog)];
}

function define(name: string, text: string, config: Record<string, unknown>): CheckDefinition {
  const script = new TextEncoder().encode(text);
  return {
    name,
    language: "bash",
    script,
    scriptSha256: sha256Hex(script),
    config,
    schedule: { intervalSeconds: 60 },
    timeoutSeconds,
    permissions: {},
    source: "command",
  };
}

/** The walls the script must report on: a script that broke off half-way has proved nothing. */
const walls = [
  "uid",
  "gid",
  "groups",
  "id_map",
  "capabilities",
  "no_new_privileges",
  "seccomp",
  "descriptors",
  "environment",
  "pid_one",
  "shadow",
  "write_root",
  "write_sys",
  "write_run",
  "user_namespace",
  "network",
  "unix_sockets",
  "stderr",
];

function probeFailures({ outcome, message, stdout, stderr, leftBehind }: CheckRun): string[] {
  if (outcome !== "ok") return [`the self-test ended with ${outcome}: ${message}`];
  const held = new Set<string>();
  const failures: string[] = [];
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const [, wall = "", verdict = "", detail = ""] = /^(\w+) (held|open)(?: (.*))?$/.exec(line) ?? [];
    if (verdict === "held") held.add(wall);
    if (verdict === "open") failures.push(`${wall}: ${detail}`);
  }
  if (new TextDecoder().decode(stderr).includes("reached stderr")) held.add("stderr");
  for (const wall of walls)
    if (!held.has(wall) && !failures.some((line) => line.startsWith(`${wall}:`)))
      failures.push(`${wall}: not shown to hold`);
  if (leftBehind) failures.push("processes: something outlived the run");
  return failures;
}

function hogFailures({ outcome, exitCode, stdout }: CheckRun): string[] {
  const kept = new TextDecoder().decode(stdout).includes("kept 67108864");
  const stopped = outcome === "oom" || (outcome === "exit" && exitCode !== 0);
  return stopped && !kept ? [] : [`memory: twice the limit was not refused (${outcome})`];
}
