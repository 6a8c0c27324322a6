import type { CheckDefinition } from "../../checks/check.ts";
import type { CheckState } from "../../checks/metrics.ts";
import type { Exporter } from "../../protocol/registration.ts";
import type { Logger } from "../../runtime/log.ts";
import type { ActiveBundle } from "./bundle.ts";
import type { ServerConfig } from "./config.ts";
import type { MachineDescription } from "./inventory.ts";
import type { Reporter } from "./report.ts";
import type { Sleep } from "./sleep.ts";
import type { NodeMemory } from "./status.ts";
import type { NodeStore } from "./store.ts";
import type { SyncFault } from "./sync.ts";
import type { Fetch, Transport } from "./transport.ts";

/** What runs the checks; checks/service.ts is it. */
export interface ChecksPart {
  /** The bundle's checks; those of the node's owner are its own affair. */
  replace(definitions: readonly CheckDefinition[]): void;
  /** All checks of the node. */
  status(): readonly CheckState[];
}

export interface NodeOptions {
  readonly store: NodeStore;
  /** Absent: no control server; only the local checks run. */
  readonly config: ServerConfig | undefined;
  readonly checks: ChecksPart;
  /** Hardware and system, asked for only when the node registers. Never rejects. */
  readonly describeMachine: (signal: AbortSignal) => Promise<MachineDescription>;
  /** What Prometheus finds on this node; known once the daemon listens. */
  readonly exporters: () => Promise<readonly Exporter[]>;
  readonly sandbox?: () => { readonly ok: boolean; readonly message: string } | undefined;
  readonly daemonVersion: string;
  readonly log: Logger;
  readonly fetch?: Fetch;
  readonly now?: () => number;
  readonly sleep?: Sleep;
  readonly random?: () => number;
}

/** What the parts of a node that has a control server share. */
export interface NodeContext extends NodeOptions {
  readonly config: ServerConfig;
  readonly now: () => number;
  readonly sleep: Sleep;
  readonly random: () => number;
  readonly memory: NodeMemory;
  readonly transport: Transport;
  readonly reporter: Reporter;
  readonly bootId: string | undefined;
}

/** Hands the bundle's checks over; the stored results of checks that are gone are forgotten. */
export function applyChecks({ checks, store }: NodeOptions, active: ActiveBundle | undefined): void {
  checks.replace(active?.checks ?? []);
  store.results.retain(new Set(checks.status().map(({ definition }) => definition.name)));
}

/** Remembers what went wrong, for status and metrics; what was active still is. */
export function noteFault(context: NodeContext, fault: SyncFault): void {
  const { memory, reporter } = context;
  const { code, message, kind } = fault;
  if (kind === "reject") {
    if (memory.state !== "rolled_back") memory.state = "failed";
    memory.rejects.set(code, (memory.rejects.get(code) ?? 0) + 1);
  }
  memory.isReachable = kind !== "unreachable";
  if (memory.fault?.code === code) return;
  memory.fault = fault;
  if (kind !== "unreachable") recordEvent(context, "failed", { code, message });
  reporter.changed();
}

/** The history on the status page. A disk that cannot take a line must not stop what the line is about. */
export function recordEvent({ store, log }: NodeContext, kind: string, fields: Record<string, unknown>): void {
  try {
    store.state.recordEvent(kind, fields);
  } catch (error) {
    log.warn("cannot record an event", { kind, error });
  }
}

/** The active bundle's keys beside the identity: what the database says about keys is not believed. */
export function keepTrustedKeys({ store, memory, log }: NodeContext): void {
  if (memory.active === undefined) return;
  try {
    store.identity.trust([...memory.active.trustedKeys]);
  } catch (error) {
    log.warn("cannot write the trusted keys beside the identity, trying again with the next bundle", { error });
  }
}
