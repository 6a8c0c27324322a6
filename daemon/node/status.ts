import { type CheckState, currentStatus, isAbsent } from "../../checks/metrics.ts";
import type { NodeStatus } from "../../protocol/status.ts";
import type { ActiveBundle } from "./bundle.ts";
import type { ServerConfig } from "./config.ts";
import type { Identity } from "./identity.ts";
import type { NodeEvent, NodeState } from "./state.ts";
import type { SyncFault } from "./sync.ts";

export interface RevisionView {
  readonly epoch: number;
  readonly version: number;
  readonly hash: string;
}

/** The `node` part of GET /api/v1/status. Times are ISO 8601; what is not known is absent. */
export interface NodeView {
  readonly server?: {
    readonly url: string;
    readonly reachable: boolean;
    readonly registered: boolean;
    readonly last_success_at?: string;
    readonly clock_skew_seconds?: number;
  };
  readonly node_id?: string;
  readonly fleet?: string;
  /** Why the last attempt to register or to sync failed; absent when it did not. `message` says what to do. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly bundle?: RevisionView & {
    readonly source: string;
    readonly accepted_at: string;
    readonly expires_at: string;
    readonly expired: boolean;
    readonly groups: readonly string[];
    readonly checks: number;
    readonly refused: readonly { readonly name: string; readonly code: string; readonly message: string }[];
  };
  readonly events: readonly { readonly at: string; readonly kind: string; readonly fields: NodeEvent["fields"] }[];
}

/** What the node knows about itself, in memory; one owner (node.ts) writes it. */
export interface NodeMemory {
  active: ActiveBundle | undefined;
  /** State of the last bundle that was received, as protocol/status.ts names it. */
  state: NodeStatus["state"];
  isReachable: boolean;
  isRegistered: boolean;
  isClockOff: boolean;
  lastSuccessAt: number | undefined;
  fault: SyncFault | undefined;
  readonly rejects: Map<string, number>;
  readonly registrationFailures: Map<string, number>;
}

export function createMemory(): NodeMemory {
  return {
    active: undefined,
    state: "unset",
    isReachable: false,
    isRegistered: false,
    isClockOff: false,
    lastSuccessAt: undefined,
    fault: undefined,
    // There from the start, so that an alert sees the first one as an increase.
    rejects: new Map(
      ["signature", "rollback", "equivocation", "expired", "blob_hash", "store"].map((code) => [code, 0]),
    ),
    registrationFailures: new Map(),
  };
}

export function toNodeView(
  memory: NodeMemory,
  options: {
    readonly config: Pick<ServerConfig, "url">;
    readonly identity: Pick<Identity, "registration">;
    readonly state: Pick<NodeState, "events">;
    readonly nowMs: number;
    readonly clockSkewMs: number | undefined;
  },
): NodeView {
  const { active, isReachable, isRegistered, lastSuccessAt, fault } = memory;
  const { config, identity, state, nowMs, clockSkewMs } = options;
  const { nodeId, fleet } = identity.registration ?? {};
  return {
    server: {
      url: config.url,
      reachable: isReachable,
      registered: isRegistered,
      ...(lastSuccessAt !== undefined && { last_success_at: new Date(lastSuccessAt).toISOString() }),
      ...(clockSkewMs !== undefined && { clock_skew_seconds: clockSkewMs / 1000 }),
    },
    ...(nodeId !== undefined && { node_id: nodeId }),
    ...(fleet !== undefined && { fleet }),
    ...(fault && { error: { code: fault.code, message: fault.message } }),
    ...(active && { bundle: toBundleView(active, nowMs) }),
    events: state.events(20).map(({ at, kind, fields }) => ({ at: new Date(at).toISOString(), kind, fields })),
  };
}

function toBundleView(active: ActiveBundle, nowMs: number): NonNullable<NodeView["bundle"]> {
  const { epoch, version, hash, source, acceptedAt, expiresAt, groups, checks, refused } = active;
  return {
    epoch,
    version,
    hash,
    source,
    accepted_at: new Date(acceptedAt).toISOString(),
    expires_at: new Date(expiresAt).toISOString(),
    expired: expiresAt <= nowMs,
    groups: groups.map(({ path }) => path),
    checks: checks.length,
    refused: refused.map(({ name, code, message }) => ({ name, code, message })),
  };
}

/** The body of a status report. `sequence` is the node's clock, which only has to rise. */
export function toReport(
  memory: NodeMemory,
  options: {
    readonly nowMs: number;
    readonly daemonVersion: string;
    readonly bootId: string | undefined;
    readonly clockSkewMs: number | undefined;
    readonly checks: readonly CheckState[];
    readonly sandbox: { readonly ok: boolean; readonly message: string } | undefined;
  },
): NodeStatus {
  const { active, state, fault } = memory;
  const { nowMs, daemonVersion, bootId, clockSkewMs, checks, sandbox } = options;
  const revision = active && { epoch: active.epoch, version: active.version, hash: active.hash };
  return {
    sequence: nowMs,
    daemon_version: daemonVersion,
    state,
    ...(bootId !== undefined && { boot_id: bootId }),
    ...(revision && { active: revision }),
    ...(fault && { error: { code: fault.code.slice(0, 64), message: fault.message.slice(0, 1024) } }),
    ...(clockSkewMs !== undefined && { clock_skew_seconds: clockSkewMs / 1000 }),
    ...(sandbox && { sandbox_ok: sandbox.ok, sandbox_message: sandbox.message.slice(0, 1024) }),
    // Without messages where they would not fit in Limits.statusBytes; the page has everything.
    checks: checks.slice(0, 500).map((check) => toCheckReport(check, checks.length <= 100)),
  };
}

type CheckReport = NonNullable<NodeStatus["checks"]>[number];

function toCheckReport(state: CheckState, withMessage: boolean): CheckReport {
  const { definition, result, stale } = state;
  const { name, policyId = "" } = definition;
  if (!result) return { instance_id: policyId, name, result: "unknown" };
  const { error, exitCode, durationSeconds, startedAt, message } = result;
  const verdict = isAbsent(state) ? "absent" : currentStatus(state);
  return {
    instance_id: policyId,
    name,
    // Why there is no verdict, where there is none; `exit` is the script's own verdict.
    result: error === undefined || error === "exit" || stale ? verdict : error.slice(0, 32),
    duration_seconds: Math.max(0, Math.round(durationSeconds * 1000) / 1000),
    finished_at: new Date(Date.parse(startedAt) + durationSeconds * 1000).toISOString(),
    ...(exitCode !== undefined && { exit_code: exitCode }),
    ...(withMessage && message !== undefined && { message: message.slice(0, 300) }),
  };
}
