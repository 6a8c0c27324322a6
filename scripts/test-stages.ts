import { existsSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseJunit, type TestCounts } from "./junit.ts";
import { projectRoot, say } from "./terminal.ts";

export const continuousIntegration = Boolean(process.env["CI"]);

interface Stage {
  readonly name: string;
  readonly options: readonly string[];
  readonly paths: readonly string[];
}

/** Sandboxes, faults and whole daemons have deadlines of their own: one file at a time, or they disturb each other. */
const alone = ["test/checks", "test/daemon", "test/e2e"];
const bun = process.execPath;
const workers = `--parallel=${Math.min(4, Math.max(2, availableParallelism()))}`;

function toStages(selection: readonly string[]): Stage[] {
  if (selection.length > 0) return [{ name: "selection", options: ["--isolate"], paths: selection }];
  const entries = new Bun.Glob("test/*").scanSync({ cwd: projectRoot, onlyFiles: false });
  const others = [...entries].filter((path) => !alone.includes(path) && /(\/[^.]+|\.test\.ts)$/.test(path)).sort();
  // In a process or a global object of its own, so that what one file leaves behind cannot fail another.
  return [
    { name: "side by side", options: [workers], paths: others },
    { name: "one by one", options: ["--isolate"], paths: alone },
  ];
}

export interface Outcome {
  readonly passed: number;
  readonly failures: string[];
}

/** Runs the tests below these paths, or all of them; names everything that failed. */
export async function runTests(selection: readonly string[], env: Readonly<Record<string, string>>): Promise<Outcome> {
  let passed = 0;
  const failures: string[] = [];
  const files = new Set<string>();
  for (const stage of toStages(selection)) {
    say(`tests, ${stage.name}`);
    const report = await runStage(stage, env);
    passed += report.passed;
    failures.push(...report.failed);
    for (const file of report.files) files.add(file);
    for (const name of report.skipped) {
      console.log(`SKIPPED ${name}`);
      if (continuousIntegration) failures.push(`skipped although CI is set: ${name}`);
    }
  }
  for (const file of notRun(files, selection)) failures.push(`${file} could not be loaded or was not run`);
  return { passed, failures };
}

async function runStage({ name, options, paths }: Stage, env: Readonly<Record<string, string>>): Promise<TestCounts> {
  const reportPath = join(projectRoot, `.cache/log/junit-${name.replaceAll(" ", "-")}.xml`);
  rmSync(reportPath, { force: true });
  const report = ["--timeout=60000", "--reporter=junit", `--reporter-outfile=${reportPath}`];
  const child = Bun.spawn([bun, "test", ...options, ...report, ...paths.map((path) => `./${path}`)], {
    cwd: projectRoot,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exitCode = await child.exited;
  const counts = parseJunit(existsSync(reportPath) ? await Bun.file(reportPath).text() : "");
  // Errors between tests, or a crash of the runner, have no case of their own in the report.
  if (exitCode === 0 || counts.failed.length > 0) return counts;
  return { ...counts, failed: [`bun test ended with ${exitCode} (tests, ${name})`] };
}

function notRun(files: ReadonlySet<string>, selection: readonly string[]): string[] {
  if (selection.length > 0) return [];
  const all = new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: projectRoot });
  return [...all].filter((file) => !files.has(file)).sort();
}
