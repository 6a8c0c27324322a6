import type { CommandDef } from "citty";
import { parseConfig, readConfigFile } from "../runtime/config.ts";
import { createLogger } from "../runtime/log.ts";
import { buildInfo } from "../runtime/version.ts";
import { ServerConfig } from "./config.ts";
import { shippedTemplates } from "./library.ts";
import { startServer } from "./server.ts";

export const defaultConfigFile = "/etc/aami/server.yaml";

/** `aami server`: runs until SIGTERM or SIGINT. Flags win over the file. */
export const serverCommand: CommandDef = {
  meta: { name: "server", description: "Run the control server." },
  args: {
    config: { type: "string", description: `Configuration file (default ${defaultConfigFile}, if there is one)` },
    "check-config": { type: "boolean", description: "Check the configuration and exit" },
    "print-config-schema": { type: "boolean", description: "Print the JSON schema of the configuration and exit" },
    listen: { type: "string", description: "Address and port (default 127.0.0.1:8080)" },
    data: { type: "string", description: "Data folder (default /var/lib/aami-server)" },
    database: { type: "string", description: "sqlite:///path or postgres://… (default a file in the data folder)" },
  },
  run: async ({ args }) => {
    if (args["print-config-schema"] === true) return print(JSON.stringify(ServerConfig, null, 2));
    const config = readConfig(args);
    if (args["check-config"] === true) return print("the configuration is good");
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

function readConfig(args: Readonly<Record<string, unknown>>): ServerConfig {
  const file = typeof args["config"] === "string" ? args["config"] : undefined;
  const fromFile = readConfigFile(ServerConfig, file ?? defaultConfigFile, {
    missing: file === undefined ? "empty" : "error",
  });
  const flags = ["listen", "data", "database"].flatMap((name) =>
    typeof args[name] === "string" ? [[name, args[name]]] : [],
  );
  // JSON is YAML: the flags go through the same schema as the file.
  return parseConfig(ServerConfig, JSON.stringify({ ...fromFile, ...Object.fromEntries(flags) }), "command line");
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
