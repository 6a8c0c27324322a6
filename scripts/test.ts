/**
 * `npm test`: installs what tests need, type check, format check, build, all tests. Arguments go to `bun test`, so
 * `npm test -- test/collectors` runs some of them. Ends with the line "N passed, N failed".
 */
import { ensureBinary } from "./binary.ts";
import type { TestFailure } from "./junit.ts";
import { ensureSystemPackages } from "./system-packages.ts";
import { runQuietly, runScript, say, ScriptError } from "./terminal.ts";
import { describeFailures } from "./test-failures.ts";
import { startTestPostgres, type TestPostgres } from "./test-postgres.ts";
import { ensureTestServers } from "./test-servers.ts";
import { continuousIntegration, runTests } from "./test-stages.ts";

const bun = process.execPath;

await runScript(async () => {
  const selection = process.argv.slice(2);
  const problems = [...(await ensureSystemPackages()), ...(await ensureTestServers())];
  if (problems.length > 0 && continuousIntegration) say("CI is set: what is missing counts as a failure");
  const failedSteps = [
    ...(continuousIntegration ? problems.map((problem) => ({ name: `missing: ${problem}`, reason: "" })) : []),
    ...(await step("type check", [bun, "check", "--no-pretty"])),
    ...(await step("format check", [bun, "fmt", "--check"])),
  ];
  await ensureBinary();
  await using postgres = await ensurePostgres();
  const { passed, failures } = await runTests(
    selection,
    postgres === undefined ? {} : { TEST_POSTGRES_URL: postgres.url },
  );
  failures.unshift(...failedSteps);
  for (const line of describeFailures(failures)) console.log(line);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
});

async function step(name: string, argv: readonly string[]): Promise<TestFailure[]> {
  say(name);
  try {
    await runQuietly(argv, { log: `${name.replace(" ", "-")}.log` });
    return [];
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(error.message);
    return [{ name, reason: error.message }];
  }
}

async function ensurePostgres(): Promise<TestPostgres | undefined> {
  if (process.env["TEST_POSTGRES_URL"] !== undefined) return undefined;
  say("starting a PostgreSQL for the tests");
  try {
    return await startTestPostgres();
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(error.message);
    return undefined;
  }
}
