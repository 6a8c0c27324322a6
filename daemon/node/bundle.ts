import type { CheckDefinition } from "../../checks/check.ts";
import {
  type AcceptedCheck,
  type BundleDecision,
  BundleError,
  type BundleState,
  checkBlob,
  considerBundle,
  type RefusedCheck,
  reopenBundle,
} from "../../protocol/bundle.ts";
import type { TrustedKey } from "../../protocol/signed-document.ts";
import { nodePaths } from "../../protocol/status.ts";
import type { NodeClient } from "./client.ts";
import type { Registration } from "./identity.ts";
import type { NodeState, StoredBundle } from "./state.ts";

/** A verified bundle with all its scripts: what a node may run. */
export interface ActiveBundle {
  readonly epoch: number;
  readonly version: number;
  readonly hash: string;
  readonly source: string;
  readonly acceptedAt: number;
  readonly expiresAt: number;
  readonly groups: readonly { readonly id: string; readonly path: string }[];
  readonly checks: readonly CheckDefinition[];
  readonly refused: readonly RefusedCheck[];
  /** Whose bundles may come after this one. */
  readonly trustedKeys: readonly TrustedKey[];
}

/**
 * What a new bundle is compared with: the mark on disk, fleet and keys of the registration. Keys that only the database
 * named would make it its own judge: whoever can write to it could sign what the node runs.
 */
export function readBundleState(
  state: NodeState,
  { fleet, trustedKeys }: Registration,
  active: ActiveBundle | undefined,
): BundleState {
  const { epoch = 0, version = 0, hash = "", clockFloor = 0 } = state.mark() ?? {};
  // The active bundle's are beside the identity too, unless that could not be written.
  const keys = new Map([...(active?.trustedKeys ?? []), ...trustedKeys].map((key) => [key.id, key]));
  return { fleet, trustedKeys: [...keys.values()], epoch, version, hash, clockFloorMs: clockFloor };
}

/**
 * The bundle on disk, verified as if it had just arrived: whoever can write to the disk must not be able to make a node
 * run anything. Throws BundleError where a byte or a script is not what was accepted.
 */
export async function openStoredBundle(
  stored: StoredBundle,
  state: NodeState,
  options: { readonly registration: Registration; readonly now: () => number; readonly isFallback?: boolean },
): Promise<ActiveBundle> {
  const bundleState = readBundleState(state, options.registration, undefined);
  // Against the mark and not against its own row: an older bundle that was put back is a rollback here, too. Only a
  // fallback may be older.
  const { epoch, version, hash } = options.isFallback === true ? stored : bundleState;
  const decision = await reopenBundle(stored.bytes, { ...bundleState, epoch, version, hash }, options.now());
  return toActive(decision, stored, (check) => checkBlob(state.blob(check.hash) ?? new Uint8Array(), check));
}

/**
 * Verifies received bytes, fetches the scripts that are missing, and stores everything in one transaction. Answers
 * undefined when exactly this bundle is active already. A throw leaves disk and memory as they were.
 */
export async function installBundle(
  bytes: Uint8Array,
  options: {
    readonly state: NodeState;
    readonly registration: Registration;
    readonly active: ActiveBundle | undefined;
    /** The stored one proved bad and `active` is the one before it. */
    readonly isRolledBack: boolean;
    readonly source: string;
    readonly client: NodeClient;
    readonly signal: AbortSignal;
    readonly now: () => number;
  },
): Promise<ActiveBundle | undefined> {
  const { state, registration, active, isRolledBack, source, now } = options;
  const nowMs = now();
  const bundleState = readBundleState(state, registration, active);
  const decision = await considerBundle(bytes, bundleState, nowMs);
  // "same" with another bundle active (or none) means that the stored copy was refused at the start.
  if (decision.action === "same" && (isRolledBack || active?.hash === decision.hash)) return undefined;
  const blobs = await fetchMissing(decision.checks, options);
  const { manifest, hash, issuedMs } = decision;
  const { epoch, version } = manifest;
  const stored: StoredBundle = { epoch, version, hash, bytes, source, etag: undefined, acceptedAt: nowMs };
  const read = (check: AcceptedCheck) =>
    blobs.get(check.hash) ?? checkBlob(state.blob(check.hash) ?? new Uint8Array(), check);
  const next = toActive(decision, stored, read);
  state.install({
    bundle: stored,
    blobs,
    keepBlobs: new Set([...next.checks, ...(active?.checks ?? [])].map(({ scriptSha256 }) => scriptSha256)),
    mark: { epoch, version, hash, clockFloor: Math.max(bundleState.clockFloorMs, issuedMs) },
    replacesBad: isRolledBack,
  });
  return next;
}

type FetchOptions = { readonly state: NodeState; readonly client: NodeClient; readonly signal: AbortSignal };

const fetchesAtOnce = 4;
const blobDeadlineMs = 30_000;

async function fetchMissing(
  checks: readonly AcceptedCheck[],
  options: FetchOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const missing = new Map(
    checks.filter((check) => !isStored(check, options.state)).map((check) => [check.hash, check]),
  );
  const queue = [...missing.values()];
  const fetched = new Map<string, Uint8Array>();
  const work = async () => {
    for (let check = queue.pop(); check; check = queue.pop()) fetched.set(check.hash, await fetchBlob(check, options));
  };
  try {
    await Promise.all(Array.from({ length: fetchesAtOnce }, work));
  } finally {
    queue.length = 0; // one that failed ends the others after the script they are at
  }
  return fetched;
}

function isStored(check: AcceptedCheck, state: NodeState): boolean {
  const bytes = state.blob(check.hash);
  if (bytes === undefined) return false;
  try {
    checkBlob(bytes, check);
    return true;
  } catch (error) {
    if (error instanceof BundleError) return false; // changed on disk: fetched again and replaced
    throw error;
  }
}

async function fetchBlob(check: AcceptedCheck, { client, signal }: FetchOptions): Promise<Uint8Array> {
  if (check.size_bytes === 0) return checkBlob(new Uint8Array(), check);
  const { bytes } = await client.request({
    method: "GET",
    path: nodePaths.blob(check.hash),
    // One more than allowed is enough to see that it is too long, but an error answer must fit as well.
    maxBytes: Math.max(check.size_bytes + 1, 65_536),
    deadlineMs: blobDeadlineMs,
    signal,
  });
  return checkBlob(bytes, check);
}

function toActive(
  { manifest, checks, refused }: BundleDecision,
  { epoch, version, hash, source, acceptedAt }: StoredBundle,
  readScript: (check: AcceptedCheck) => Uint8Array,
): ActiveBundle {
  return {
    epoch,
    version,
    hash,
    source,
    acceptedAt,
    expiresAt: Date.parse(manifest.expires),
    groups: manifest.groups,
    checks: checks.map((check) => toDefinition(check, readScript(check))),
    refused,
    trustedKeys: manifest.trusted_keys,
  };
}

function toDefinition(check: AcceptedCheck, script: Uint8Array): CheckDefinition {
  const { name, language, hash, config, timeout_seconds, permissions, instance_id, group_id } = check;
  const { interval_seconds, schedule = "" } = check;
  return {
    name,
    language,
    script,
    scriptSha256: hash,
    config,
    schedule: interval_seconds !== undefined ? { intervalSeconds: interval_seconds } : { cron: schedule },
    timeoutSeconds: timeout_seconds,
    permissions,
    source: "bundle",
    policyId: instance_id,
    ...(group_id !== undefined && { groupId: group_id }),
  };
}
