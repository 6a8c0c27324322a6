import { closeSync } from "node:fs";
import { selfCommand } from "../../runtime/self.ts";
import type { CheckDefinition, CheckRun, RunOutcome } from "../check.ts";
import type { GrantedPermissions } from "../permissions.ts";
import { type Capture, captureOutput } from "./capture.ts";
import type { CgroupLeaf } from "./cgroup.ts";
import { sandboxArgv, sandboxOptions } from "./command.ts";
import { createMemoryFile, createPipe } from "./libc.ts";
import { createRunProcesses, type RunProcesses } from "./processes.ts";
import type { SandboxParts } from "./sandbox.ts";
import { parseStatus } from "./status-line.ts";
import type { View } from "./view.ts";

const stderrBytes = 64 * 1024;
const statusBytes = 64 * 1024;
/** How long the dead may take to go: freeing a lot of memory or a full tmpfs is work, not a hang. */
const killGraceSeconds = 3;
const givenUpStepMs = 100;
const emptyStepMs = 2;

export interface SandboxedRun {
  readonly run: CheckRun;
  /** What is left in the kernel after SIGKILL; the check must not start again before it is empty. */
  readonly remains: RunProcesses | undefined;
}

export interface RunRequest {
  readonly definition: CheckDefinition;
  readonly granted: GrantedPermissions;
  readonly view: View;
  readonly devices: readonly string[];
  readonly mountinfo: string;
  readonly signal: AbortSignal;
}

/** Runs one script in the sandbox and leaves nothing of it behind that a signal can end. */
export async function runInSandbox(parts: SandboxParts, request: RunRequest): Promise<SandboxedRun> {
  const startedAt = performance.now();
  const leaf = parts.cgroups?.createLeaf(request.definition.name, request.granted);
  const started = startIn(parts, request, leaf);
  const processes = createRunProcesses(started.child, leaf);
  const seen = await supervise(started, processes, request);
  const facts = { ...seen, oomKilled: leaf?.oomKilled() ?? false };
  if (seen.emptied) processes.close();
  const outcome = judge(facts);
  return {
    run: {
      outcome,
      exitCode: outcome === "ok" || outcome === "exit" ? seen.exitCode : undefined,
      durationSeconds: Math.round(performance.now() - startedAt) / 1000,
      stdout: seen.stdout,
      stderr: seen.stderr,
      message: describe(outcome, request, seen),
      leftBehind: !seen.emptied,
    },
    remains: seen.emptied ? undefined : processes,
  };
}

function startIn(parts: SandboxParts, request: RunRequest, leaf: CgroupLeaf | undefined): Started {
  try {
    return start(parts, request, leaf?.path);
  } catch (error) {
    leaf?.remove();
    throw error;
  }
}

interface Seen {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly notes: readonly string[];
  readonly exitCode: number | undefined;
  /** Why it was killed, if it was before it ended by itself. */
  readonly killedFor: RunOutcome | undefined;
  readonly emptied: boolean;
}

async function supervise(started: Started, processes: RunProcesses, request: RunRequest): Promise<Seen> {
  const { definition, granted, signal } = request;
  let killedFor: RunOutcome | undefined;
  const kill = (why: RunOutcome): void => {
    killedFor ??= why;
    processes.kill();
  };
  const stdout = captureOutput(started.stdout, { maxBytes: granted.outputBytes, onCut: () => kill("output") });
  const stderr = captureOutput(started.stderr, { maxBytes: stderrBytes, onCut: () => kill("output") });
  const status = readStatus(started.status, processes);
  const deadline = setTimeout(() => kill("timeout"), definition.timeoutSeconds * 1000);
  const abort = () => kill("timeout");
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();

  // Never the end of the output: a background process may hold the pipe for ever. After a kill, not the exit either.
  await untilEndedOrGivenUp(started.child, () => killedFor !== undefined);
  clearTimeout(deadline);
  signal.removeEventListener("abort", abort);
  const emptied = await killAll(processes);
  for (const capture of [stdout, stderr, status.capture]) await finish(capture, emptied);
  const result = { stdout: stdout.bytes(), stderr: stderr.bytes(), notes: status.notes(), exitCode: status.exitCode() };
  return { ...result, killedFor, emptied };
}

/** Whoever still holds a pipe after the kill will hold it for ever. */
async function finish(capture: Capture, emptied: boolean): Promise<void> {
  if (!emptied) capture.stop();
  let timer: Timer | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, killGraceSeconds * 1000);
  });
  await Promise.race([capture.done, patience]);
  clearTimeout(timer);
  capture.stop();
}

interface Started {
  readonly child: Bun.Subprocess;
  readonly stdout: number;
  readonly stderr: number;
  readonly status: number;
}

function start(parts: SandboxParts, request: RunRequest, cgroup: string | undefined): Started {
  const { definition, granted, view, devices, mountinfo } = request;
  const configJson = JSON.stringify(definition.config);
  const options = sandboxOptions({ check: definition.name, configJson, view, devices });
  const argv = sandboxArgv({
    programs: parts.programs,
    user: parts.user,
    language: definition.language,
    timeoutSeconds: definition.timeoutSeconds,
    granted,
    limitedByCgroup: parts.cgroups?.limits ?? { memory: false, pids: false },
    concurrency: parts.concurrency,
  });
  const open: number[] = [];
  const reads: number[] = [];
  const file = (content: string | Uint8Array): number => {
    const fd = createMemoryFile(content);
    open.push(fd);
    return fd;
  };
  const pipe = (): number => {
    const { read, write } = createPipe(parts.user);
    open.push(write);
    reads.push(read);
    return read;
  };
  try {
    const [stdout, stderr, status] = [pipe(), pipe(), pipe()];
    const [stdoutEnd = -1, stderrEnd = -1, statusEnd = -1] = open;
    // In the order of `childFd`; the script finds its configuration on standard input too.
    const stdio: [number, number, number, ...number[]] = [
      file(configJson), // the script finds its configuration on standard input too
      stdoutEnd,
      stderrEnd,
      // In the order of `childFd`.
      file(parts.seccomp),
      file(options.map((option) => `${option}\0`).join("")),
      file(definition.script),
      file(configJson),
      file(mountinfo),
      statusEnd,
    ];
    const withGrants = view.grants.length > 0;
    if (withGrants) stdio.push(file(JSON.stringify({ argv, options, grants: view.grants, uid: parts.user.uid })));
    const child = Bun.spawn(withGrants ? selfCommand("check", "exec") : argv, {
      stdio,
      // Bubblewrap's own environment would be readable as that of the sandbox's pid 1.
      env: {},
      cwd: "/",
      ...(cgroup === undefined ? {} : { cgroup }),
    });
    return { child, stdout, stderr, status };
  } catch (error) {
    for (const fd of reads) closeSync(fd);
    throw error;
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function readStatus(fd: number, processes: RunProcesses) {
  const capture = captureOutput(fd, { maxBytes: statusBytes, onChunk: () => adopt() });
  const lines = () => parseStatus(new TextDecoder().decode(capture.bytes()));
  const adopt = (): void => {
    for (const line of lines()) if (line.kind === "pid_one") processes.adoptPidOne(line.pid);
  };
  return {
    capture,
    exitCode: () => lines().flatMap((line) => (line.kind === "exit_code" ? [line.code] : []))[0],
    notes: () => lines().flatMap((line) => (line.kind === "note" ? [line.text] : [])),
  };
}

/** The exit of the child, or a while after the kill where it does not come even then. */
async function untilEndedOrGivenUp(child: Bun.Subprocess, killed: () => boolean): Promise<void> {
  let timer: Timer | undefined;
  const givenUp = new Promise<void>((resolve) => {
    let left = killGraceSeconds * 1000;
    timer = setInterval(() => {
      if (killed() && (left -= givenUpStepMs) <= 0) resolve();
    }, givenUpStepMs);
  });
  await Promise.race([child.exited, givenUp]);
  clearInterval(timer);
}

/** After every run, not only after a deadline: nothing may outlive the check. */
async function killAll(processes: RunProcesses): Promise<boolean> {
  processes.kill();
  const deadline = performance.now() + killGraceSeconds * 1000;
  while (!processes.isEmpty()) {
    if (performance.now() > deadline) return false;
    await Bun.sleep(emptyStepMs);
  }
  return true;
}

function judge(facts: {
  readonly killedFor: RunOutcome | undefined;
  readonly oomKilled: boolean;
  readonly emptied: boolean;
  readonly exitCode: number | undefined;
}): RunOutcome {
  if (!facts.emptied) return "stuck";
  if (facts.killedFor !== undefined) return facts.killedFor;
  if (facts.oomKilled) return "oom";
  // Bubblewrap reports the exit code of what it started, and nothing when it could not start it.
  if (facts.exitCode === undefined) return "sandbox_error";
  return facts.exitCode === 0 ? "ok" : "exit";
}

function describe(outcome: RunOutcome, { definition, granted, view }: RunRequest, { notes, stderr }: Seen): string {
  const reasons: Partial<Record<RunOutcome, string>> = {
    timeout: `killed after ${definition.timeoutSeconds} s`,
    output: `printed more than ${granted.outputBytes} bytes, or more than ${stderrBytes} bytes of errors`,
    oom: `killed for using more than ${granted.memoryBytes} bytes of memory`,
    stuck: "a process survives SIGKILL: it waits in the kernel for a file system or device that does not answer",
    sandbox_error: `the sandbox did not start: ${new TextDecoder().decode(stderr.subarray(0, 300)).trim()}`,
  };
  return [reasons[outcome], ...view.notes, ...notes].filter((part) => part !== undefined).join("; ");
}
