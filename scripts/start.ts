/**
 * `npm start`: control server and node daemon of this machine, with real registration and real checks. Run again, it
 * goes on with the same identity and data.
 */
import { mkdirSync } from "node:fs";
import { isIP } from "node:net";
import { isAbsolute, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { ensureBinary } from "./binary.ts";
import { addressFor, isEverywhere, toHost } from "./start/address.ts";
import { type Child, startChild } from "./start/child.ts";
import { createControlApi } from "./start/control-api.ts";
import { requireFreePort } from "./start/port.ts";
import { ensureDiscoveryToken, prepareControlServer, prepareRegistration } from "./start/prepare.ts";
import { waitUntil } from "./start/wait-until.ts";
import { ensureSystemPackages } from "./system-packages.ts";
import { projectRoot, runScript, say, ScriptError } from "./terminal.ts";

const usage = `usage: npm start -- [OPTIONS]

  --daemon-port PORT   port of the node daemon, on all addresses (9100)
  --server-address IP  address of the control server (127.0.0.1); 0.0.0.0 for all, so that other machines reach it
  --server-port PORT   port of the control server (8080)
  --data FOLDER        database, identity and logs (.data)`;

interface Settings {
  readonly daemonPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
  readonly data: string;
}

const paths = (data: string) => ({
  serverData: join(data, "server"),
  adminToken: join(data, "server/admin.token"),
  discoveryToken: join(data, "server/discovery.token"),
  bootstrapToken: join(data, "daemon/bootstrap-token"),
  daemonState: join(data, "daemon"),
  daemonConfig: join(data, "daemon.yaml"),
  serverConfig: join(data, "server.yaml"),
  logs: join(data, "log"),
});

await runScript(async () => {
  const settings = readSettings();
  if (settings === undefined) return 0;
  const children: Child[] = [];
  // A child that dies before everything runs is noticed by whoever waits for it.
  const failed = run(settings, children).then(() => Promise.race(children.map((child) => child.died)));
  try {
    await Promise.race([untilAskedToStop(), failed]);
  } finally {
    await stopAll(children);
  }
  return 0;
});

async function run({ daemonPort, serverAddress, serverPort, data }: Settings, children: Child[]): Promise<void> {
  const place = paths(data);
  const serverUrl = `http://${toHost(isEverywhere(serverAddress) ? "127.0.0.1" : serverAddress)}:${serverPort}`;
  const address = await addressFor(serverAddress);
  const daemonUrl = `http://127.0.0.1:${daemonPort}`;
  await requireFreePort({
    owner: "the control server",
    address: serverAddress,
    port: serverPort,
    option: "--server-port",
  });
  await requireFreePort({ owner: "the node daemon", address: "0.0.0.0", port: daemonPort, option: "--daemon-port" });
  const canRunChecks = (await ensureSystemPackages()).length === 0;
  const binary = await ensureBinary();
  mkdirSync(place.daemonState, { recursive: true, mode: 0o700 });

  say(`starting the control server on ${serverUrl}`);
  await writeConfigurations(place, {
    listen: `${toHost(serverAddress)}:${serverPort}`,
    daemonPort,
    serverUrl,
    address,
  });
  const server = startChild({
    name: "control server",
    argv: [binary, "server", "--config", place.serverConfig],
    logPath: join(place.logs, "server.log"),
  });
  children.push(server);
  await waitUntil("the control server to answer", async () => (await fetch(`${serverUrl}/api/v1/health`)).ok, server);
  const api = createControlApi(serverUrl, place.adminToken);
  const group = await prepareControlServer(api);
  const { bootstrapToken: tokenFile, daemonState: stateDirectory } = place;
  await prepareRegistration(api, { group, tokenFile, stateDirectory, address, port: daemonPort });
  await ensureDiscoveryToken(api, place.discoveryToken);

  say(`starting the node daemon on port ${daemonPort}`);
  const daemon = startChild({
    name: "node daemon",
    argv: [binary, "daemon", "--config", place.daemonConfig],
    logPath: join(place.logs, "daemon.log"),
  });
  children.push(daemon);
  await waitForMetrics(daemonUrl, daemon, canRunChecks);
  process.stdout.write(`${summary({ serverUrl, daemonUrl, data })}\n`);
}

interface Addresses {
  readonly listen: string;
  readonly daemonPort: number;
  readonly serverUrl: string;
  /** Of this machine, for Prometheus. */
  readonly address: string;
}

async function writeConfigurations(
  place: ReturnType<typeof paths>,
  { listen, daemonPort, serverUrl, address }: Addresses,
): Promise<void> {
  const server = { listen, data: place.serverData };
  const daemon = {
    web: { listen_addresses: [`:${daemonPort}`] },
    state_directory: place.daemonState,
    server: { url: serverUrl, token_file: place.bootstrapToken, advertise_address: address },
  };
  const header = "# Written by npm start at every start; JSON is YAML.\n";
  await Bun.write(place.serverConfig, `${header}${JSON.stringify(server, undefined, 2)}\n`);
  await Bun.write(place.daemonConfig, `${header}${JSON.stringify(daemon, undefined, 2)}\n`);
}

async function waitForMetrics(daemonUrl: string, daemon: Child, canRunChecks: boolean): Promise<void> {
  say("waiting for the first metrics of this machine");
  const wanted = ["node_cpu_seconds_total", ...(canRunChecks ? ["mount_check", "aami_check_"] : [])];
  await waitUntil(
    `a page with ${wanted.join(", ")}`,
    async () => {
      const page = await (await fetch(`${daemonUrl}/metrics`)).text();
      return wanted.every((name) => new RegExp(`^${name}`, "m").test(page));
    },
    daemon,
  );
}

function summary({ serverUrl, daemonUrl, data }: { serverUrl: string; daemonUrl: string; data: string }): string {
  const shown = (path: string): string => (path.startsWith(`${projectRoot}/`) ? relative(projectRoot, path) : path);
  const { adminToken, discoveryToken, logs } = paths(data);
  return `
AAMI watches this machine. Ctrl-C stops it; npm start goes on with the same identity and data.

  metrics          ${daemonUrl}/metrics
  status           ${daemonUrl}/
  control server   ${serverUrl}   (API documentation: ${serverUrl}/docs)
  admin token      ${shown(adminToken)}
  data and logs    ${shown(data)}, ${shown(logs)}

  curl -s ${daemonUrl}/metrics | grep -E '^(node_load|mount_check|aami_check_)'
  curl -s -H "Authorization: Bearer $(cat ${shown(adminToken)})" ${serverUrl}/api/v1/targets

Prometheus finds the daemon with this job in prometheus.yml:

  - job_name: aami
    http_sd_configs:
      - url: ${serverUrl}/api/v1/sd/prometheus
        authorization: { type: Bearer, credentials_file: ${discoveryToken} }
`;
}

function readSettings(): Settings | undefined {
  const text = { type: "string" } as const;
  const options = {
    "daemon-port": text,
    "server-address": text,
    "server-port": text,
    data: text,
    help: { type: "boolean" },
  } as const;
  try {
    const { values } = parseArgs({ options });
    if (values.help === true) {
      process.stdout.write(`${usage}\n`);
      return undefined;
    }
    const data = join(isAbsolute(values.data ?? "") ? "" : projectRoot, values.data ?? ".data");
    const daemonPort = toPort("--daemon-port", values["daemon-port"] ?? "9100");
    const serverPort = toPort("--server-port", values["server-port"] ?? "8080");
    return { daemonPort, serverAddress: toAddress(values["server-address"] ?? "127.0.0.1"), serverPort, data };
  } catch (error) {
    if (error instanceof TypeError) throw new ScriptError(`${error.message}\n${usage}`);
    throw error;
  }
}

function toAddress(text: string): string {
  if (isIP(text) === 0) throw new ScriptError(`--server-address: "${text}" is not an IP address`);
  return text;
}

function toPort(option: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new ScriptError(`${option}: "${text}" is not a port`);
  return port;
}

function untilAskedToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}

/** The daemon first: it still tells the server that it goes. */
async function stopAll(children: readonly Child[]): Promise<void> {
  for (const child of children.toReversed()) {
    say(`stopping the ${child.name}`);
    await child.stop();
  }
}
