import { expect, test } from "bun:test";
import { chmodSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { SQL } from "bun";
import { lacks } from "../harness/requirements.ts";
import { startProcess } from "../harness/process.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace } from "../harness/workspace.ts";

const script = join(import.meta.dir, "../../scripts/test-postgres.ts");
const runner = `
  const { startTestPostgres } = await import(${JSON.stringify(script)});
  await using postgres = await startTestPostgres();
  console.log("url " + postgres.url);
  await new Promise((resolve) => setTimeout(resolve, 600_000));
`;

async function answers(url: string): Promise<boolean> {
  const sql = new SQL({ url, max: 1, connectionTimeout: 2 });
  try {
    await sql`SELECT 1`;
    return true;
  } catch {
    return false; // refused, or the last session was ended
  } finally {
    await sql.close();
  }
}

test.skipIf(await lacks("postgres")).each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
  "%s to the runner alone ends its PostgreSQL",
  async (signal) => {
    using workspace = createWorkspace();
    chmodSync(workspace.path, 0o755); // PostgreSQL runs as nobody
    await using running = startProcess({
      name: "runner",
      argv: [process.execPath, "-e", runner],
      // Bun would keep what it has compiled in a home folder, and make one.
      env: { TMPDIR: workspace.path, BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
    });
    const [, url = ""] = (await running.waitForLine(/^url /)).split(" ");
    expect(await answers(url)).toBe(true);
    running.kill(signal);
    await running.exited;
    await waitFor("PostgreSQL to end", async () => !(await answers(url)));
    // Who is killed cannot clear away.
    if (signal !== "SIGKILL") expect(readdirSync(workspace.path)).toEqual([]);
  },
);
