import { dlopen } from "bun:ffi";
import { type CommandDef, defineCommand } from "citty";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { describeError, silentLogger } from "../runtime/log.ts";
import { defaultConfigFile, parseCommandLine } from "./command-line.ts";
import type { DaemonConfig } from "./config.ts";
import type { ConfigurationAnswer, LoadedConfig } from "./configuration.ts";
import { parseListenAddress } from "./http/address.ts";
import { openWebConfigFile } from "./web/open.ts";

/**
 * `aami configuration PID ARGS`: says as JSON what the arguments of `aami daemon` and the configuration file ask for.
 * The process PID started it, and it ends with that one.
 */
export const configurationCommand: CommandDef = defineCommand({
  meta: { name: "configuration", description: "Reads the daemon's flags and configuration file.", hidden: true },
  run: async ({ rawArgs }) => {
    const [parent, ...argv] = rawArgs;
    dieWith(Number(parent));
    process.stdout.write(JSON.stringify(await answer(argv)));
  },
});

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/** Whatever ends the process that started this one: a file that hangs would keep this one for ever. */
function dieWith(parent: number): void {
  const { symbols } = dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } });
  symbols.prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before the kernel was asked.
  if (process.ppid !== parent) throw new ExitError(ExitCode.failure, "nobody waits for the configuration");
}

async function answer(argv: readonly string[]): Promise<ConfigurationAnswer> {
  try {
    const commandLine = parseCommandLine(argv);
    if (commandLine.action === "print") return commandLine;
    const loaded = commandLine.load();
    return commandLine.action === "run" ? { action: "run", loaded } : { action: "print", text: await check(loaded) };
  } catch (error) {
    const exitCode = error instanceof ExitError ? error.exitCode : ExitCode.failure;
    return { action: "fail", exitCode, message: String(describeError(error)) };
  }
}

/** --check-config. */
async function check({ config, file, warnings }: LoadedConfig): Promise<string> {
  for (const warning of warnings) process.stderr.write(`aami: warning: ${warning}\n`);
  await checkWeb(config.web);
  return file === undefined ? `there is no ${defaultConfigFile}: the defaults hold` : `${file}: ok`;
}

/** What is read only when the daemon listens. */
async function checkWeb({ listen_addresses: addresses, config_file: file }: DaemonConfig["web"]): Promise<void> {
  for (const address of addresses) parseListenAddress(address);
  (await openWebConfigFile(file, silentLogger))?.stop();
}
