import { defineCommand } from "citty";
import { encodeFamilies } from "../collectors/exposition.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import type { CheckDefinition, CheckResult } from "./check.ts";
import { readScriptFile } from "./script-file.ts";

const script = { type: "positional", required: true, description: "The script: NAME.sh or NAME.py" } as const;
const options = {
  language: { type: "string", description: "bash or python, where the file name does not say", valueHint: "NAME" },
  config: { type: "string", description: "Configuration as JSON, or @FILE", valueHint: "JSON" },
  permissions: { type: "string", description: "Permissions as in a policy, as JSON or @FILE", valueHint: "JSON" },
  timeout: { type: "string", description: "Seconds after which the run is killed (30)", valueHint: "SECONDS" },
  "daemon-config": {
    type: "string",
    description: "Limits of this node are read from here",
    default: "/etc/aami/daemon.yaml",
    valueHint: "FILE",
  },
} as const;

const runSubCommand = defineCommand({
  meta: {
    name: "run",
    description:
      "Run a script in the sandbox and print what would be published. 0: all is well, 1: it failed, 2: usage.",
  },
  args: { file: script, ...options },
  run: async ({ args }) => {
    const definition = readScriptFile(args);
    const result = await runOnce(definition, args["daemon-config"]);
    for (const { text } of encodeFamilies(result.families)) process.stdout.write(text);
    report(definition, result);
  },
});

const lintSubCommand = defineCommand({
  meta: {
    name: "lint",
    description: "Say what a node would refuse, without running the script. 0: nothing, 1: errors, 2: usage.",
  },
  args: {
    file: script,
    ...options,
    run: { type: "boolean", description: "Run it once too and judge its output" },
  },
  run: async ({ args }) => {
    const definition = readScriptFile(args);
    const { readLimits } = await import("./local-limits.ts");
    const { lintScript } = await import("./lint.ts");
    const findings = await lintScript(definition, readLimits(args["daemon-config"]).limits);
    for (const { severity, line, message } of findings) {
      process.stdout.write(`${args.file}${line === undefined ? "" : `:${line}`}: ${severity}: ${message}\n`);
    }
    const errors = findings.filter(({ severity }) => severity === "error").length;
    if (errors > 0) throw new ExitError(ExitCode.failure, `${args.file}: ${errors} error${errors === 1 ? "" : "s"}`);
    if (args.run) report(definition, await runOnce(definition, args["daemon-config"]));
  },
});

async function runOnce(definition: CheckDefinition, daemonConfig: string): Promise<CheckResult> {
  const { readLimits } = await import("./local-limits.ts");
  const { openSandbox } = await import("./sandbox/sandbox.ts");
  const { createCheckRunner } = await import("./runner.ts");
  const { toResult } = await import("./result.ts");
  const { user, cgroup, limits } = readLimits(daemonConfig);
  const state = openSandbox({ user, concurrency: 1, cgroup, memoryBytes: limits.memory_bytes });
  if ("problems" in state) throw new ExitError(ExitCode.failure, `no sandbox: ${state.problems.join("\n  ")}`);
  const startedAt = new Date();
  const run = await createCheckRunner(state.sandbox, limits).run(definition, new AbortController().signal);
  return toResult(definition, run, { startedAt, maxSeries: limits.series });
}

function report(definition: CheckDefinition, result: CheckResult): void {
  const { outcome, error, message, stderr, durationSeconds } = result;
  if (stderr !== undefined) process.stderr.write(`${stderr}\n`);
  const reason = [error ?? outcome, message].filter((part) => part !== undefined).join(": ");
  if (error !== undefined) throw new ExitError(ExitCode.failure, `check ${definition.name} failed, ${reason}`);
  process.stderr.write(`check ${definition.name}: ${reason} after ${durationSeconds.toFixed(3)} s\n`);
}

export const checkCommand = defineCommand({
  meta: { name: "check", description: "Run and lint check scripts exactly as a node does." },
  subCommands: {
    run: runSubCommand,
    lint: lintSubCommand,
    exec: defineCommand({
      meta: { name: "exec", description: "Open probe directories and become a sandbox (daemon only).", hidden: true },
      run: async () => (await import("./sandbox/grants.ts")).executeWithGrants(),
    }),
  },
});
