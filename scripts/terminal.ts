import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

export const projectRoot = join(import.meta.dir, "..");

/** Progress goes to standard error, so that what a command prints can be piped. */
export function say(text: string): void {
  process.stderr.write(`aami: ${text}\n`);
}

/** A reason that the person at the terminal can act on: printed as one line, without a stack trace. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** Runs a script's main function; an unexpected error keeps its stack trace. */
export async function runScript(main: () => Promise<number>): Promise<never> {
  try {
    process.exit(await main());
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(error.message);
    process.exit(1);
  }
}

export interface QuietOptions {
  /** Everything the program printed is kept here, under .cache/log. */
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a program without showing its output; on failure throws with the last lines of it. */
export async function runQuietly(argv: readonly string[], options: QuietOptions): Promise<void> {
  const logPath = join(projectRoot, ".cache/log", options.log);
  mkdirSync(dirname(logPath), { recursive: true });
  const child = Bun.spawn([...argv], {
    cwd: options.cwd ?? projectRoot,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: Bun.file(logPath),
    stderr: Bun.file(logPath),
  });
  if ((await child.exited) === 0) return;
  const lines = (await Bun.file(logPath).text()).trimEnd().split("\n").slice(-15);
  const reason = child.signalCode ?? `exit status ${child.exitCode}`;
  throw new ScriptError(`${argv.join(" ")} failed (${reason}), log ${logPath}:\n${lines.join("\n")}`);
}
