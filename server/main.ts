import type { CommandDef } from "citty";
import { existsSync } from "node:fs";
import { ConfigError, parseConfig, readConfigFile } from "../runtime/config.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { createLogger } from "../runtime/log.ts";
import { buildInfo } from "../runtime/version.ts";
import { readTrustedProxies, ServerConfig } from "./config.ts";
import { shippedTemplates } from "./library.ts";
import { startServer } from "./server.ts";

export const defaultConfigFile = "/etc/aami/server.yaml";

/** `aami server`: runs until SIGTERM or SIGINT. Flags win over the file. */
export const serverCommand: CommandDef = {
  meta: { name: "server", description: "Run the control server." },
  args: {
    config: {
      type: "string",
      description: `Configuration file (default ${defaultConfigFile}, if there is one)`,
      valueHint: "FILE",
    },
    "check-config": { type: "boolean", description: "Check configuration file and options, and end" },
    "print-config-schema": { type: "boolean", description: "Print the JSON schema of the configuration file, and end" },
    listen: { type: "string", description: "Where it listens (default 127.0.0.1:8080)", valueHint: "ADDRESS:PORT" },
    data: { type: "string", description: "Data folder (default /var/lib/aami-server)", valueHint: "FOLDER" },
    database: {
      type: "string",
      description: "sqlite:///PATH or postgres://… (default a SQLite file in the data folder)",
      valueHint: "URL",
    },
  },
  run: async ({ args }) => {
    if (args["print-config-schema"] === true) return print(JSON.stringify(ServerConfig, null, 2));
    const { config, file } = readConfig(args);
    if (args["check-config"] === true)
      return print(file === undefined ? `there is no ${defaultConfigFile}: the defaults hold` : `${file}: ok`);
    const log = createLogger(config.log);
    // Before anything is opened: a signal that comes while the server starts must still end it in order.
    const stopped = stopSignal();
    const server = await startServer({ config, log, shippedTemplates });
    log.info("server started", { url: server.url, fleet: server.fleet, data: config.data, version: buildInfo.version });
    const signal = await stopped;
    log.info("server stopping", { signal });
    await server.stop();
    log.info("server stopped");
  },
};

interface LoadedConfig {
  readonly config: ServerConfig;
  /** Undefined: there is none, and none was asked for. */
  readonly file: string | undefined;
}

function readConfig(args: Readonly<Record<string, unknown>>): LoadedConfig {
  const chosen = typeof args["config"] === "string" ? args["config"] : undefined;
  const file = chosen ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined);
  const fromFile = file === undefined ? parseConfig(ServerConfig, "", "") : readConfigFile(ServerConfig, file);
  const config = { ...fromFile, ...readFlags(args) };
  readTrustedProxies(config);
  return { config, file };
}

/** The flags go through the schema of the file. */
function readFlags(args: Readonly<Record<string, unknown>>): Partial<ServerConfig> {
  const given = ["listen", "data", "database"].filter((name) => typeof args[name] === "string");
  const flags = Object.fromEntries(given.map((name) => [name, args[name]]));
  try {
    const checked: Readonly<Record<string, unknown>> = parseConfig(ServerConfig, JSON.stringify(flags), "");
    return Object.fromEntries(given.map((name) => [name, checked[name]]));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map(({ message }) => `--${message}`);
    throw new ExitError(ExitCode.usage, problems.join("\n"));
  }
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
