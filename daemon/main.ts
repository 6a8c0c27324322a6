import { type CommandDef, defineCommand } from "citty";
import { createLogger } from "../runtime/log.ts";
import { buildInfo } from "../runtime/version.ts";
import { type LoadedConfig, readConfiguration } from "./configuration.ts";

/** `aami daemon`. Reads its arguments itself, because node_exporter's command line is not citty's. */
export const daemonCommand: CommandDef = defineCommand({
  meta: { name: "daemon", description: "Collect, serve metrics and run checks on this node." },
  run: async ({ rawArgs }) => {
    // A HUP that comes while the daemon is still starting has nothing to reload, and must not end it either; the others
    // are sent by habit, such as by the rotation of logs.
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM"] as const) process.on(signal, ignore);
    const configuration = await readConfiguration(rawArgs);
    if (configuration.action === "run") return runUntilSignal(configuration.loaded, rawArgs);
    process.stdout.write(`${configuration.text}\n`);
  },
});

function ignore(): void {}

async function runUntilSignal(loaded: LoadedConfig, argv: readonly string[]): Promise<void> {
  const { promise: asked, resolve: ask } = Promise.withResolvers<string>();
  process.on("SIGTERM", ask);
  process.on("SIGINT", ask);
  const { level, format } = loaded.config.log;
  const log = createLogger({ level, format });
  log.info("starting", { version: buildInfo.version, revision: buildInfo.revision, pid: process.pid });
  const { startDaemon } = await import("./app.ts");
  const daemon = await startDaemon({ loaded, load: () => loadAgain(argv), log });
  process.on("SIGHUP", () => void daemon.reload());
  const signal = await asked;
  log.info("stopping", { signal });
  await daemon.stop();
  log.info("stopped");
}

async function loadAgain(argv: readonly string[]): Promise<LoadedConfig> {
  const configuration = await readConfiguration(argv);
  if (configuration.action === "run") return configuration.loaded;
  throw new Error("a running daemon's command line asks for a text");
}
