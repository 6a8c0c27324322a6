import { ExitCode, ExitError } from "../runtime/exit.ts";
import { selfCommand } from "../runtime/self.ts";
import type { DaemonConfig } from "./config.ts";

/** What the arguments of `aami daemon` ask for. */
export type Configuration =
  { readonly action: "print"; readonly text: string } | { readonly action: "run"; readonly loaded: LoadedConfig };

/** The same from the process that reads them. */
export type ConfigurationAnswer =
  Configuration | { readonly action: "fail"; readonly exitCode: ExitCode; readonly message: string };

/** File and flags, checked and complete. Plain JSON. */
export interface LoadedConfig {
  readonly config: DaemonConfig;
  readonly collectors: readonly EnabledCollector[];
  /** Names of all collectors that this program has. */
  readonly knownCollectors: readonly string[];
  /** Undefined: there is none at the default place, and no other was named. */
  readonly file?: string;
  /** For the log: deprecated flags and the like. */
  readonly warnings: readonly string[];
}

/** A collector that is to run; `forChecks` as in its definition. */
export interface EnabledCollector {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly forChecks: boolean;
}

const deadlineMs = 30_000;

/**
 * Reads flags and configuration file in a process of its own. What that takes (schemas, YAML, the code of every
 * collector) is a tenth of the memory of a daemon that does it itself, and a file on a mount that hangs would hang it.
 * The process ends with this one, however that ends.
 */
export async function readConfiguration(argv: readonly string[]): Promise<Configuration> {
  const command = selfCommand("configuration", String(process.pid), ...argv);
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), deadlineMs);
  const text = await Promise.race([child.stdout.text(), late.promise]).finally(() => clearTimeout(timer));
  if (text === undefined) {
    child.kill("SIGKILL");
    child.unref();
    throw new ExitError(ExitCode.failure, `the configuration could not be read within ${deadlineMs / 1000} s`);
  }
  const answer = parseAnswer(text);
  if (answer === undefined) {
    const exitCode = await child.exited;
    const end = child.signalCode ?? `exit code ${exitCode}`;
    throw new ExitError(ExitCode.failure, `the process that reads the configuration ended with ${end}`);
  }
  if (answer.action === "fail") throw new ExitError(answer.exitCode, answer.message);
  return answer;
}

/** Undefined for what a process leaves that was ended by something else. */
function parseAnswer(text: string): ConfigurationAnswer | undefined {
  try {
    return JSON.parse(text) as ConfigurationAnswer;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
