import { BundleError } from "../../protocol/bundle.ts";
import { AppError } from "../../protocol/errors.ts";
import { Limits } from "../../protocol/manifest.ts";
import { appliedRevisionHeader, nodePaths } from "../../protocol/status.ts";
import type { Logger } from "../../runtime/log.ts";
import { createBackoff } from "./backoff.ts";
import { type ActiveBundle, installBundle } from "./bundle.ts";
import type { NodeClient } from "./client.ts";
import type { Registration } from "./identity.ts";
import type { Sleep } from "./sleep.ts";
import type { NodeState } from "./state.ts";
import { RefusedError, TransportError, type TransportRequest } from "./transport.ts";

export interface SyncFault {
  /** A bundle that must not be installed, an answer that is no bundle, or none at all. */
  readonly kind: "reject" | "answer" | "unreachable";
  readonly code: string;
  readonly message: string;
}

/** What the rest of the daemon learns from the sync. */
export interface SyncEvents {
  activate(bundle: ActiveBundle): void;
  /** The server confirmed what is active, or a new bundle was installed. */
  succeeded(): void;
  /** Nothing changed on the node; what was active still is. */
  failed(fault: SyncFault): void;
}

export interface SyncOptions {
  readonly state: NodeState;
  readonly registration: Registration;
  readonly client: NodeClient;
  /** The one that runs, read anew before every poll. */
  readonly active: () => ActiveBundle | undefined;
  readonly isRolledBack: () => boolean;
  readonly events: SyncEvents;
  readonly pollWaitSeconds: number;
  readonly log: Logger;
  readonly now: () => number;
  readonly sleep: Sleep;
  readonly random: () => number;
}

/** Beyond what the server may hold the poll. */
const answerDeadlineMs = 30_000;
/** Between two polls that brought something. */
const restMs = 1000;

/**
 * Polls for bundles until the signal ends it, or until the server refuses this node's credential: then it resolves with
 * that refusal. Everything else is retried.
 */
export async function runSync(options: SyncOptions, signal: AbortSignal): Promise<RefusedError | undefined> {
  const { events, log, now, sleep, random, pollWaitSeconds } = options;
  const failures = createBackoff({ firstMs: 2000, limitMs: 300_000, random });
  const early = createBackoff({ firstMs: restMs, limitMs: pollWaitSeconds * 1000, random });
  let lastFault = "";
  // The first poll only asks, so that a restarted daemon knows within a moment whether the server is there.
  let waitSeconds = 0;
  while (!signal.aborted) {
    const startedAt = now();
    try {
      const outcome = await pollOnce(options, waitSeconds, signal);
      if (lastFault !== "") log.info("bundle sync works again", { after: lastFault });
      lastFault = "";
      // Up to a fifth shorter, so that a fleet does not come back in step.
      waitSeconds = Math.ceil(pollWaitSeconds * (1 - 0.2 * random()));
      failures.reset();
      events.succeeded();
      // Held by the server: ask again at once. Answered early (no long poll, a draining server): do not ask in a loop.
      const wasHeld = now() - startedAt > pollWaitSeconds * 500;
      if (outcome === "installed" || wasHeld) early.reset();
      if (!wasHeld) await sleep(early.next(), signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (isCredentialRefusal(error)) return error;
      const fault = toFault(error);
      const level = lastFault === fault.code ? "debug" : fault.code === "internal" ? "error" : "warn";
      log[level]("bundle sync failed, the active revision stays", { code: fault.code, reason: fault.message });
      lastFault = fault.code;
      events.failed(fault);
      await sleep(failures.next(error instanceof RefusedError ? error.retryAfterMs : undefined), signal);
    }
  }
  return undefined;
}

async function pollOnce(
  options: SyncOptions,
  waitSeconds: number,
  signal: AbortSignal,
): Promise<"installed" | "unchanged"> {
  const { state, registration, client, events, log, now } = options;
  const active = options.active();
  const answer = await client.request(pollRequest(options.state, active, { waitSeconds, signal }));
  const etag = answer.headers.get("etag") ?? undefined;
  if (answer.status === 304) {
    if (!active) throw new SyncError("unexpected_304", "the server confirmed a bundle although the node asked for one");
    return "unchanged";
  }
  if (answer.status !== 200) throw new SyncError("unexpected_status", `the server answered ${answer.status}`);
  const { bytes } = answer;
  const isRolledBack = options.isRolledBack();
  const from = { state, registration, active, isRolledBack, source: "server", client, signal, now };
  const next = await installBundle(bytes, from);
  if (next) {
    events.activate(next);
    const { epoch, version, hash, checks, refused } = next;
    log.info("bundle activated", { epoch, version, hash, checks: checks.length, refused: refused.length });
  }
  // Last, so that a 304 only ever confirms a revision that is on disk and runs.
  state.rememberEtag(etag);
  return next ? "installed" : "unchanged";
}

function pollRequest(
  state: NodeState,
  active: ActiveBundle | undefined,
  { waitSeconds, signal }: { readonly waitSeconds: number; readonly signal: AbortSignal },
): TransportRequest {
  const etag = active ? state.bundle("active")?.etag : undefined;
  const isHeld = etag !== undefined && waitSeconds > 0;
  return {
    method: "GET",
    path: nodePaths.bundle,
    headers: {
      ...(etag !== undefined && { "if-none-match": etag }),
      ...(isHeld && { prefer: `wait=${waitSeconds}` }),
      ...(active && { [appliedRevisionHeader]: `${active.epoch}.${active.version}` }),
    },
    maxBytes: Limits.bundleBytes,
    deadlineMs: (isHeld ? waitSeconds * 1000 : 0) + answerDeadlineMs,
    signal,
  };
}

class SyncError extends AppError {
  override readonly code: string;
  readonly status = 502;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function isCredentialRefusal(error: unknown): error is RefusedError {
  return error instanceof RefusedError && (error.status === 401 || error.status === 403);
}

/** "store": the database cannot take the bundle. "internal": a fault of this program, which must not end the polling. */
function toFault(error: unknown): SyncFault {
  if (error instanceof AppError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
    return { kind: kindOf(error), code: error.code, message: `${error.message}${cause}` };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/^SQLITE_/.test(String((error as { code?: unknown } | null)?.code))) {
    return { kind: "reject", code: "store", message: `cannot store the bundle: ${message}` };
  }
  return { kind: "answer", code: "internal", message: error instanceof Error ? (error.stack ?? message) : message };
}

function kindOf(error: AppError): SyncFault["kind"] {
  if (error instanceof BundleError) return "reject";
  return error instanceof TransportError && error.code !== "too_large" ? "unreachable" : "answer";
}
