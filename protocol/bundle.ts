import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "./errors.ts";
import { fingerprint, KeyError, parsePublicKey, sha256Hex } from "./keys.ts";
import {
  CheckLanguage,
  defaultPermissions,
  Limits,
  Manifest,
  type ManifestCheck,
  ManifestIdentity,
  Permissions,
} from "./manifest.ts";
import { type DocumentFault, DocumentError, openDocument, type TrustedKey } from "./signed-document.ts";

export type BundleFault =
  | DocumentFault
  | "spec"
  | "manifest_form"
  | "version_form"
  | "other_fleet"
  | "time_form"
  | "expiry_before_issue"
  | "issued_in_future"
  | "rollback"
  | "equivocation"
  | "expired"
  | "trusted_keys_form"
  | "policies_form"
  | "policy_duplicate"
  | "timing"
  | "scripts_size"
  | "blob_size"
  | "blob_hash";

/** A bundle or blob that must not be installed. The node keeps what it has and reports `code`. */
export class BundleError extends AppError {
  override readonly code: BundleFault;
  readonly status = 422;

  constructor(code: BundleFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** What a node remembers about the newest bundle that it ever accepted. Start with epoch 0, version 0, hash "". */
export interface BundleState {
  readonly fleet: string;
  readonly trustedKeys: readonly TrustedKey[];
  readonly epoch: number;
  readonly version: number;
  /** Hex SHA-256 of the payload that has this epoch and version. */
  readonly hash: string;
  /** Highest `issued` ever accepted, in milliseconds: a clock set back cannot revive an old bundle. */
  readonly clockFloorMs: number;
}

export interface RefusedCheck {
  readonly instance_id: string;
  readonly name: string;
  readonly code: "language_unknown" | "permissions_unknown" | "permissions_form" | "schedule_form";
  readonly message: string;
}

export interface AcceptedCheck extends Omit<ManifestCheck, "language" | "permissions"> {
  readonly language: CheckLanguage;
  /** Complete: what the check did not ask for has its default. */
  readonly permissions: Permissions;
}

export interface BundleDecision {
  /** "same" means that exactly this content is installed already: nothing to do. */
  readonly action: "install" | "same";
  readonly manifest: Manifest;
  readonly hash: string;
  readonly issuedMs: number;
  readonly expired: boolean;
  readonly checks: readonly AcceptedCheck[];
  /** Checks that this node must not run; the others do. */
  readonly refused: readonly RefusedCheck[];
}

/**
 * Decides about a bundle that came from anywhere: the server, a peer, the node's own database. The order matters:
 * size, signature, strict parse, fleet, issued, version, expiry, form. Keep and forward the received bytes.
 */
export async function considerBundle(bytes: Uint8Array, state: BundleState, nowMs: number): Promise<BundleDecision> {
  const { payload, payloadBytes, keyId } = await open(bytes, state.trustedKeys);
  const identity = readIdentity(payload);
  if (identity.fleet !== state.fleet) throw new BundleError("other_fleet", "the bundle belongs to another fleet");
  const { issuedMs, expiresMs } = readTimes(identity);
  const now = Math.max(nowMs, state.clockFloorMs);
  if (issuedMs > now + Limits.clockAheadSeconds * 1000)
    throw new BundleError("issued_in_future", `issued ${identity.issued}`);
  const hash = sha256Hex(payloadBytes);
  const action = compareVersion(identity, hash, state);
  const expired = expiresMs <= now;
  // Only installing needs a fresh bundle: an expired one in use keeps running, or a long outage would end monitoring.
  if (expired && action === "install") throw new BundleError("expired", `expired ${identity.expires}`);
  const manifest = readManifest(payload);
  checkTrustedKeys(manifest, keyId);
  checkForm(manifest);
  return { action, manifest, hash, issuedMs, expired, ...sortChecks(manifest.checks) };
}

/** For the bundle on disk, at every start: the same checks less those that compare with the state it created. */
export async function reopenBundle(bytes: Uint8Array, state: BundleState, nowMs: number): Promise<BundleDecision> {
  const decision = await considerBundle(bytes, state, nowMs);
  if (decision.action !== "same")
    throw new BundleError("equivocation", "the stored bundle is not the one that was accepted");
  return decision;
}

/** The script bytes that a manifest names, or a refusal. */
export function checkBlob(bytes: Uint8Array, want: Pick<ManifestCheck, "hash" | "size_bytes">): Uint8Array {
  if (bytes.length !== want.size_bytes)
    throw new BundleError("blob_size", `${bytes.length} bytes, not ${want.size_bytes}`);
  if (sha256Hex(bytes) !== want.hash)
    throw new BundleError("blob_hash", "the script does not have the hash of the manifest");
  return bytes;
}

/** A strong HTTP entity tag, quotes included. Never proof of content: the signature and the hash decide. */
export function bundleEtag({ epoch, version, hash }: { epoch: number; version: number; hash: string }): string {
  return `"${epoch}.${version}.${hash.slice(0, 32)}"`;
}

async function open(bytes: Uint8Array, trustedKeys: readonly TrustedKey[]) {
  try {
    return await openDocument(bytes, { type: "aami-bundle+jws", trustedKeys, maxBytes: Limits.bundleBytes });
  } catch (error) {
    if (error instanceof DocumentError) throw new BundleError(error.code, error.message, error);
    throw error;
  }
}

const identityFaults: Readonly<Record<string, BundleFault>> = {
  "/type": "spec",
  "/spec": "spec",
  "/epoch": "version_form",
  "/version": "version_form",
  "/issued": "time_form",
  "/expires": "time_form",
};

function readIdentity(payload: unknown): ManifestIdentity {
  if (Value.Check(ManifestIdentity, payload)) return payload;
  const { path, message } = firstFault(ManifestIdentity, payload);
  throw new BundleError(identityFaults[path] ?? "manifest_form", `${path}: ${message}`);
}

function readManifest(payload: unknown): Manifest {
  if (Value.Check(Manifest, payload)) return payload;
  const { path, message } = firstFault(Manifest, payload);
  throw new BundleError(path.startsWith("/checks") ? "policies_form" : "manifest_form", `${path}: ${message}`);
}

function firstFault(schema: TSchema, value: unknown): { path: string; message: string } {
  return Value.Errors(schema, value).First() ?? { path: "", message: "malformed" };
}

function readTimes({ issued, expires }: ManifestIdentity): { issuedMs: number; expiresMs: number } {
  const issuedMs = Date.parse(issued);
  const expiresMs = Date.parse(expires);
  if (!(issuedMs > 0) || !(expiresMs > 0)) throw new BundleError("time_form", "a time that does not exist");
  if (expiresMs <= issuedMs) throw new BundleError("expiry_before_issue", "expires before it was issued");
  return { issuedMs, expiresMs };
}

function compareVersion({ epoch, version }: ManifestIdentity, hash: string, state: BundleState): "install" | "same" {
  if (epoch < state.epoch || (epoch === state.epoch && version < state.version)) {
    throw new BundleError("rollback", `${epoch}.${version} is older than ${state.epoch}.${state.version}`);
  }
  if (epoch > state.epoch || version > state.version) return "install";
  if (hash !== state.hash) throw new BundleError("equivocation", `two contents with the version ${epoch}.${version}`);
  return "same";
}

function checkTrustedKeys({ trusted_keys: keys }: Manifest, signerId: string): void {
  for (const { id, public_key } of keys) {
    try {
      parsePublicKey(public_key);
    } catch (error) {
      if (error instanceof KeyError) throw new BundleError(error.fault, error.message, error);
      throw error;
    }
    if (fingerprint(public_key) !== id)
      throw new BundleError("trusted_keys_form", "a key id that is not its fingerprint");
  }
  // Otherwise the node could not verify its own copy after a restart.
  if (!keys.some(({ id }) => id === signerId))
    throw new BundleError("trusted_keys_form", "the signer is not in trusted_keys");
}

function checkForm({ checks }: Manifest): void {
  const names = new Set<string>();
  for (const check of checks) {
    if (names.has(check.name)) throw new BundleError("policy_duplicate", `two checks named ${check.name}`);
    names.add(check.name);
    if ((check.interval_seconds === undefined) === (check.schedule === undefined)) {
      throw new BundleError("timing", `${check.name}: exactly one of interval_seconds and schedule`);
    }
    if (check.interval_seconds !== undefined && check.timeout_seconds >= check.interval_seconds) {
      throw new BundleError("timing", `${check.name}: the timeout is not shorter than the interval`);
    }
  }
  const scriptsBytes = checks.reduce((sum, check) => sum + check.size_bytes, 0);
  if (scriptsBytes > Limits.scriptsBytes) throw new BundleError("scripts_size", `${scriptsBytes} bytes of scripts`);
}

function sortChecks(checks: readonly ManifestCheck[]): Pick<BundleDecision, "checks" | "refused"> {
  const accepted: AcceptedCheck[] = [];
  const refused: RefusedCheck[] = [];
  for (const check of checks) {
    const { language } = check;
    const permissions = { ...defaultPermissions, ...check.permissions };
    const refuse = (code: RefusedCheck["code"], message: string) =>
      refused.push({ instance_id: check.instance_id, name: check.name, code, message });
    const unknown = Object.keys(check.permissions).find((field) => !Object.hasOwn(defaultPermissions, field));
    if (!Value.Check(CheckLanguage, language))
      refuse("language_unknown", `unknown language ${JSON.stringify(language)}`);
    else if (unknown !== undefined) refuse("permissions_unknown", `unknown permission ${JSON.stringify(unknown)}`);
    else if (!Value.Check(Permissions, permissions)) refuse("permissions_form", describeFault(permissions));
    else accepted.push({ ...check, language, permissions });
  }
  return { checks: accepted, refused };
}

function describeFault(permissions: unknown): string {
  const { path, message } = firstFault(Permissions, permissions);
  return `permissions${path.replaceAll("/", ".")}: ${message}`;
}
