import { existsSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseJunit, type TestCounts, type TestFailure } from "./junit.ts";
import { projectRoot, say } from "./terminal.ts";
import { errorsBetweenTests, explainFrom } from "./test-failures.ts";

export const continuousIntegration = Boolean(process.env["CI"]);

interface Stage {
  readonly name: string;
  readonly options: readonly string[];
  readonly paths: readonly string[];
}

/**
 * What paths begin with: sandboxes have deadlines of their own, and faults are judged by how long pages take. One file
 * at a time, or they disturb each other.
 */
const alone = [
  "test/checks/",
  "test/collectors/nvidia/",
  "test/collectors/probe/",
  "test/daemon/faults",
  "test/e2e/faults-",
];
const bun = process.execPath;
const workers = `--parallel=${Math.min(4, Math.max(2, availableParallelism()))}`;
/** Far beyond what a test takes on a busy machine: it ends those that hang, nothing is measured by it. */
const timeout = "--timeout=180000";

function toStages(selection: readonly string[]): Stage[] {
  if (selection.length > 0) return [{ name: "selection", options: ["--isolate"], paths: selection }];
  const ignored = alone.map((path) => `--path-ignore-patterns=${path}${path.endsWith("/") ? "**" : "*"}`);
  // In a process or a global object of its own, so that what one file leaves behind cannot fail another.
  return [
    { name: "side by side", options: [workers, ...ignored], paths: ["test/"] },
    { name: "one by one", options: ["--isolate"], paths: alone },
  ];
}

export interface Outcome {
  readonly passed: number;
  readonly failures: TestFailure[];
}

/** Runs the tests below these paths, or all of them; names everything that failed, and why. */
export async function runTests(selection: readonly string[], env: Readonly<Record<string, string>>): Promise<Outcome> {
  let passed = 0;
  const failures: TestFailure[] = [];
  const files = new Set<string>();
  for (const stage of toStages(selection)) {
    say(`tests, ${stage.name}`);
    const report = await runStage(stage, env);
    passed += report.passed;
    failures.push(...report.failed);
    for (const file of report.files) files.add(file);
    for (const name of report.skipped) {
      console.log(`SKIPPED ${name}`);
      if (continuousIntegration) failures.push({ name, reason: "skipped although CI is set" });
    }
  }
  for (const name of notRun(files, selection)) failures.push({ name, reason: "could not be loaded or was not run" });
  return { passed, failures };
}

async function runStage({ name, options, paths }: Stage, env: Readonly<Record<string, string>>): Promise<TestCounts> {
  const reportPath = join(projectRoot, `.cache/log/junit-${name.replaceAll(" ", "-")}.xml`);
  rmSync(reportPath, { force: true });
  const report = [timeout, "--reporter=junit", `--reporter-outfile=${reportPath}`];
  const child = Bun.spawn([bun, "test", ...options, ...report, ...paths], {
    cwd: projectRoot,
    env: { ...process.env, ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}), ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  const shown = forward(child.stderr);
  const exitCode = await child.exited;
  const log = await shown(1000);
  const counts = parseJunit(existsSync(reportPath) ? await Bun.file(reportPath).text() : "");
  if (exitCode === 0) return counts;
  // Neither errors between tests nor a crash of the runner have a case of their own in the report.
  const failed = [...counts.failed.map((failure) => explainFrom(log, failure)), ...errorsBetweenTests(log)];
  if (failed.length > 0) return { ...counts, failed };
  return {
    ...counts,
    failed: [{ name: `bun test ended with ${exitCode} (tests, ${name})`, reason: log.slice(-2000) }],
  };
}

/** Shows what comes on this stream as it comes. A process that keeps it open is waited for no longer than asked. */
function forward(stream: ReadableStream<Uint8Array>): (patienceMs: number) => Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const ended = (async () => {
    for await (const chunk of stream) {
      process.stderr.write(chunk);
      text += decoder.decode(chunk, { stream: true });
    }
  })();
  return async (patienceMs) => {
    await Promise.race([ended, Bun.sleep(patienceMs)]);
    return text;
  };
}

function notRun(files: ReadonlySet<string>, selection: readonly string[]): string[] {
  if (selection.length > 0) return [];
  const all = new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: projectRoot });
  return [...all].filter((file) => !files.has(file)).sort();
}
