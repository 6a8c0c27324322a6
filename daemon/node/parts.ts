import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { type Acknowledgements, createAcknowledgements } from "../../checks/acknowledgements.ts";
import type { CheckSelection } from "../../checks/config.ts";
import type { Readings } from "../../checks/readings.ts";
import { type CheckService, createChecks } from "../../checks/service.ts";
import { createEventLog, type EventLog } from "../../collectors/events.ts";
import type { Exporter } from "../../protocol/registration.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import { selfCommand } from "../../runtime/self.ts";
import { buildInfo } from "../../runtime/version.ts";
import type { DaemonConfig } from "../config.ts";
import { createAcknowledgeDesk } from "../status/acknowledge.ts";
import { type ControlSocket, defaultStateDirectory, openControlSocket } from "../control.ts";
import { type ChecksView, toAcknowledgementView, toCheckView, toEventView, toSandboxView } from "../status/view.ts";
import type { DaemonPart } from "../part.ts";
import { takeInventory } from "./inventory.ts";
import { readBootId } from "./machine.ts";
import { createNode, type Node } from "./node.ts";
import type { NodeView } from "./status.ts";
import { type NodeStore, openNodeStore } from "./store.ts";

/** Where the daemon answers, once it does. */
export interface Endpoint {
  readonly addresses: readonly string[];
  readonly secure: boolean;
}

export interface PartsOptions {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly endpoint: Promise<Endpoint>;
  /** What builtin checks judge. */
  readonly readings: Readings;
}

const inventoryDeadlineMs = 20_000;

export interface Parts {
  /** In the order in which they start. */
  readonly parts: readonly DaemonPart[];
  readonly events: EventLog;
  readonly checks: () => ChecksView;
  /** Puts another choice of checks in force. */
  readonly selectChecks: (selection: CheckSelection) => void;
  readonly node: () => NodeView | undefined;
}

/** Checks, node and events. Throws ExitError where the state cannot be opened but is needed. */
export function openParts(options: PartsOptions): Parts {
  const store = openStore(options);
  const events = store?.events ?? createEventLog({ log: options.log });
  const acknowledgements = createAcknowledgements(events);
  const checks = createChecksPart(options, { store, acknowledgements });
  const node = store ? [createNodePart(options, { store, checks: checks.service })] : [];
  const desk = createAcknowledgeDesk({ acknowledgements, checks: checks.service, events, log: options.log });
  const control = store ? [createControlPart(options, desk)] : [];
  return {
    parts: [checks.part, ...node, createEventsPart(events), ...control],
    events,
    checks: checks.view,
    selectChecks: (selection) => checks.service().select(selection),
    node: () => node[0]?.view(),
  };
}

const eventsShown = 100;

function createEventsPart(events: EventLog): DaemonPart {
  return {
    name: "events",
    start: async () => {},
    families: () => [],
    status: () => events.since(0).slice(-eventsShown).reverse().map(toEventView),
    stop: async () => {},
  };
}

/**
 * A daemon without a server is an exporter that needs no file: the default state directory it uses if it is there and
 * free. One that somebody has named it must get.
 */
function openStore({ config, log }: PartsOptions): NodeStore | undefined {
  const { server, state_directory: directory } = config;
  if (!server && !existsSync(directory)) return undefined;
  try {
    return openNodeStore({ directory, log, programVersion: buildInfo.version });
  } catch (error) {
    const isNeeded = server !== undefined || directory !== defaultStateDirectory;
    if (isNeeded || !(error instanceof ExitError) || error.exitCode === ExitCode.badConfiguration) throw error;
    log.warn("state is not used, results of checks will not survive a restart", { reason: error.message });
    return undefined;
  }
}

interface ChecksHandle {
  readonly part: DaemonPart;
  /** Throws before the part has started. */
  service(): CheckService;
  view(): ChecksView;
}

interface ChecksState {
  readonly store: NodeStore | undefined;
  readonly acknowledgements: Acknowledgements;
}

function createChecksPart(
  { config, log, readings }: PartsOptions,
  { store, acknowledgements }: ChecksState,
): ChecksHandle {
  let service: CheckService | undefined;
  const started = (): CheckService => {
    if (!service) throw new Error("the checks have not started");
    return service;
  };
  const view = (): ChecksView => ({
    ...(service && { sandbox: toSandboxView(service.sandbox()) }),
    checks: service?.status().map(toCheckView) ?? [],
    ...(store && { state_directory: config.state_directory }),
    acknowledged: acknowledgements.list().map(toAcknowledgementView),
  });
  const part: DaemonPart = {
    name: "checks",
    start: async () => {
      const nodeId = store?.identity.key.id ?? hostname();
      const { restored, put: onResult } = store?.results ?? {};
      service = createChecks({
        config: config.checks,
        nodeId,
        readings,
        bootId: readBootId(),
        acknowledgements,
        log,
        ...(store && { stateDirectory: config.state_directory }),
        ...(restored && { restored }),
        ...(onResult && { onResult }),
      });
    },
    families: () => service?.families() ?? [],
    status: view,
    stop: async () => {
      await service?.stop();
      store?.close();
    },
  };
  return { part, service: started, view };
}

function createControlPart({ config, log }: PartsOptions, handle: (request: Request) => Promise<Response>): DaemonPart {
  let socket: ControlSocket | undefined;
  return {
    name: "control",
    start: async () => {
      socket = openControlSocket(config.state_directory, { handle, log });
    },
    families: () => [],
    status: () => undefined,
    stop: async () => socket?.stop(),
  };
}

function createNodePart(
  options: PartsOptions,
  { store, checks }: { readonly store: NodeStore; readonly checks: () => CheckService },
): DaemonPart & { view(): NodeView } {
  const { config, log } = options;
  const node: Node = createNode({
    store,
    config: config.server,
    checks: { replace: (definitions) => checks().replace(definitions), status: () => checks().status() },
    describeMachine: (signal) =>
      takeInventory({ command: selfCommand("probe", "inventory"), deadlineMs: inventoryDeadlineMs, log, signal }),
    exporters: async () => toExporters(await options.endpoint, config.web.telemetry_path),
    sandbox: () => {
      const { ok, problems } = checks().sandbox();
      return ok === undefined ? undefined : { ok, message: problems.join("; ") };
    },
    daemonVersion: buildInfo.version,
    log,
  });
  return {
    name: "node",
    start: node.start,
    families: node.families,
    status: node.status,
    view: node.status,
    stop: node.stop,
  };
}

/** Prometheus scrapes over TCP only: a Unix or vsock socket is nothing to announce. */
function toExporters({ addresses, secure }: Endpoint, metricsPath: string): Exporter[] {
  const address = addresses.find((candidate) => !/^(unix|vsock):/.test(candidate)) ?? "";
  const port = Number(/:(\d+)$/.exec(address)?.[1] ?? Number.NaN);
  if (Number.isNaN(port)) return [];
  return [{ type: "node_exporter", port, scheme: secure ? "https" : "http", metrics_path: metricsPath }];
}
