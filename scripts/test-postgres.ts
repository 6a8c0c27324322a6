import { SQL } from "bun";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { isRoot } from "./system-packages.ts";
import { runQuietly, ScriptError } from "./terminal.ts";
import { findTestProgram, testProgramEnvironment, unpackedRoot } from "./test-servers.ts";

export interface TestPostgres extends AsyncDisposable {
  /** Of a superuser: tests make databases of their own. */
  readonly url: string;
}

const nobody = 65_534;
const startSeconds = 30;
/** Fast shutdown: open sessions are ended. */
const shutdown = "SIGINT";
const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A PostgreSQL of its own on a free loopback port, with an empty cluster; undefined where there is none to start. */
export async function startTestPostgres(): Promise<TestPostgres | undefined> {
  const program = findTestProgram("postgres");
  if (program === undefined) return undefined;
  const home = mkdtempSync(join(tmpdir(), "aami-postgres-"));
  try {
    return await start(home, program);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

async function start(home: string, program: string): Promise<TestPostgres> {
  chmodSync(home, 0o755);
  const { folder, env } = placeWhereAnybodyMayRead(program, home);
  const [data, secretFile, secret] = [join(home, "data"), join(home, "password"), Bun.randomUUIDv7()];
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(secretFile, secret, { mode: 0o600 });
  // PostgreSQL refuses to run as root.
  const asNobody = isRoot() ? ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "--"] : [];
  if (isRoot()) for (const path of [data, secretFile]) chownSync(path, nobody, nobody);
  const options = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${secretFile}`, "--no-sync", "--locale=C"];
  await runQuietly([...asNobody, join(folder, "initdb"), "-D", data, "--encoding=UTF8", ...options], {
    log: "initdb.log",
    env,
    cwd: home,
  });
  const port = await freePort();
  const settings = ["listen_addresses=127.0.0.1", `port=${port}`, "unix_socket_directories=", "fsync=off", "jit=off"];
  // Ends also where this process is killed, which then leaves nothing but the folder.
  const tied = ["setpriv", `--pdeathsig=${shutdown}`, "--"];
  const child = Bun.spawn(
    [...asNobody, ...tied, join(folder, "postgres"), "-D", data, ...settings.flatMap((setting) => ["-c", setting])],
    { cwd: home, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "ignore"] },
  );
  const url = `postgres://postgres:${secret}@127.0.0.1:${port}/postgres`;
  const stop = async (): Promise<void> => {
    for (const signal of endings) process.off(signal, stopAndEnd);
    child.kill(shutdown);
    await child.exited;
    rmSync(home, { recursive: true, force: true });
  };
  const stopAndEnd = (signal: (typeof endings)[number]): void => {
    void stop().finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of endings) process.on(signal, stopAndEnd);
  await untilItAnswers(url, child).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url, [Symbol.asyncDispose]: stop };
}

/** The project may lie below /root; an installed PostgreSQL stays where it is. */
function placeWhereAnybodyMayRead(program: string, home: string): { folder: string; env: Record<string, string> } {
  if (!program.startsWith(unpackedRoot)) return { folder: dirname(program), env: {} };
  const inHome = (path: string): string => path.replace(unpackedRoot, join(home, "root"));
  const { LD_LIBRARY_PATH: libraries = "" } = testProgramEnvironment();
  const programs = ["usr/lib/postgresql", "usr/share/postgresql"].map((folder) => join(unpackedRoot, folder));
  for (const folder of [...programs, ...libraries.split(":")]) {
    if (existsSync(folder)) cpSync(folder, inHome(folder), { recursive: true });
  }
  return {
    folder: dirname(inHome(program)),
    env: { LD_LIBRARY_PATH: inHome(libraries).replaceAll(unpackedRoot, join(home, "root")) },
  };
}

async function untilItAnswers(url: string, child: Bun.Subprocess): Promise<void> {
  const until = performance.now() + startSeconds * 1000;
  for (;;) {
    const sql = new SQL({ url, max: 1, connectionTimeout: 2 });
    try {
      await sql`SELECT 1`;
      return;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > until) {
        throw new ScriptError(`PostgreSQL for the tests does not start: ${String(error)}`);
      }
    } finally {
      await sql.close();
    }
    await Bun.sleep(100);
  }
}
