import { type CommandDef, defineCommand } from "citty";
import { createLogger, silentLogger } from "../runtime/log.ts";
import { buildInfo } from "../runtime/version.ts";
import type { Daemon } from "./app.ts";
import { defaultConfigFile, type LoadedConfig, parseCommandLine } from "./command-line.ts";
import type { DaemonConfig } from "./config.ts";
import { parseListenAddress } from "./http/address.ts";
import { openWebConfigFile } from "./web/open.ts";

/** `aami daemon`. Reads its arguments itself, because node_exporter's command line is not citty's. */
export const daemonCommand: CommandDef = defineCommand({
  meta: { name: "daemon", description: "Collect, serve metrics and run checks on this node." },
  run: async ({ rawArgs }) => {
    const commandLine = parseCommandLine(rawArgs);
    if (commandLine.action === "print") {
      process.stdout.write(`${commandLine.text}\n`);
      return;
    }
    const loaded = commandLine.load();
    if (commandLine.action === "run") return runUntilSignal(loaded, commandLine.load);
    for (const warning of loaded.warnings) process.stderr.write(`aami: warning: ${warning}\n`);
    await checkWeb(loaded.config.web);
    const { file } = loaded;
    process.stdout.write(
      file === undefined ? `there is no ${defaultConfigFile}: the defaults hold\n` : `${file}: ok\n`,
    );
  },
});

/** What is read only when the daemon listens. */
async function checkWeb({ listen_addresses: addresses, config_file: file }: DaemonConfig["web"]): Promise<void> {
  for (const address of addresses) parseListenAddress(address);
  (await openWebConfigFile(file, silentLogger))?.stop();
}

async function runUntilSignal(loaded: LoadedConfig, load: () => LoadedConfig): Promise<void> {
  const { promise: asked, resolve: ask } = Promise.withResolvers<string>();
  process.on("SIGTERM", ask);
  process.on("SIGINT", ask);
  // A HUP that comes while the daemon is still starting has nothing to reload, and must not end it either.
  let daemon: Daemon | undefined;
  process.on("SIGHUP", () => void daemon?.reload());
  const { level, format } = loaded.config.log;
  const log = createLogger({ level, format });
  log.info("starting", { version: buildInfo.version, revision: buildInfo.revision, pid: process.pid });
  const { startDaemon } = await import("./app.ts");
  daemon = await startDaemon({ loaded, load, log });
  const signal = await asked;
  log.info("stopping", { signal });
  await daemon.stop();
  log.info("stopped");
}
