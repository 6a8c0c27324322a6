import { isIP } from "node:net";
import { hashCredential, parseBootstrapToken } from "../protocol/bootstrap-token.ts";
import { ConflictError, ForbiddenError, UnauthorizedError, ValidationError } from "../protocol/errors.ts";
import { fingerprint, KeyError, parsePublicKey } from "../protocol/keys.ts";
import { type ReplayMemory, verifyRegistrationProof } from "../protocol/proof.ts";
import type { RegistrationAnswer, RegistrationRequest, RegistrationStatement } from "../protocol/registration.ts";
import { signDocument } from "../protocol/signed-document.ts";
import { nodePaths } from "../protocol/status.ts";
import { toAuditEntry } from "./audit.ts";
import type { Bundles } from "./bundles.ts";
import type { Caller } from "./context.ts";
import { groupKeyOf, toGroupReference } from "./domain/groups.ts";
import { toExporters } from "./domain/exporters.ts";
import type { ServerIdentity } from "./identity.ts";
import type { Nodes } from "./nodes.ts";
import { compact } from "./store/rows.ts";
import type { Store, Tables } from "./store/store.ts";
import type { Target } from "./store/targets.ts";
import type { TokenRecord } from "./store/tokens.ts";

export interface Registration {
  /** All or nothing: a refusal writes no row and takes no use of the token. */
  register(request: RegistrationRequest, caller: Caller): Promise<RegistrationAnswer>;
}

interface RegistrationOptions {
  readonly store: Store;
  readonly identity: ServerIdentity;
  readonly bundles: Bundles;
  readonly nodes: Nodes;
  readonly replay: ReplayMemory;
  readonly now: () => number;
  /** Silence after which a node counts as down. */
  readonly downAfterMs: number;
}

/** Where a node goes that names no group and whose token names none. */
export const fallbackGroup = "infrastructure:default";

interface Claim {
  readonly request: RegistrationRequest;
  readonly tokenHash: string;
  readonly keyId: string | undefined;
  readonly ipAddress: string;
  readonly nowMs: number;
  readonly downAfterMs: number;
}

export function createRegistration({
  store,
  identity,
  bundles,
  nodes,
  replay,
  now,
  downAfterMs,
}: RegistrationOptions): Registration {
  const prove = async (
    { proof, public_key: publicKey }: RegistrationRequest,
    tokenHash: string,
  ): Promise<string | undefined> => {
    if ((publicKey === undefined) !== (proof === undefined)) fail("proof", "public_key and proof go together");
    if (publicKey === undefined || proof === undefined) return undefined;
    assertStrong(publicKey);
    const audiences = [identity.signingKey.id];
    await verifyRegistrationProof(proof, { audiences, publicKey, tokenHash, nowMs: now(), replay });
    return fingerprint(publicKey);
  };

  const answer = async (target: Target, token: TokenRecord, created: boolean): Promise<RegistrationAnswer> => {
    const found = await store.groups.getMany(target.group_ids);
    const groups = target.group_ids
      .map((id) => found.find((group) => group.id === id))
      .filter((group) => group !== undefined);
    return compact<RegistrationAnswer>({
      node_id: target.id,
      hostname: target.hostname,
      fleet: identity.fleet,
      created,
      groups: groups.map(toGroupReference),
      checks: await bundles.effectiveChecks(target.group_ids),
      bundle_path: nodePaths.bundle,
      remaining_uses: Math.max(0, token.max_uses - token.uses),
      ...(target.key_id === undefined
        ? { signed: undefined, signing_key: undefined }
        : await sign(target.id, target.key_id)),
    });
  };

  const sign = async (nodeId: string, keyId: string) => {
    const statement: RegistrationStatement = {
      type: "registration",
      fleet: identity.fleet,
      node_id: nodeId,
      node_key_id: keyId,
      server_time_ms: now(),
      trusted_keys: await store.settings.signingKeys(),
    };
    const { id, publicKey } = identity.signingKey;
    const signed = await signDocument("aami-registration+jws", statement, identity.signingKey);
    return { signed, signing_key: { id, public_key: publicKey } };
  };

  return {
    register: async (request, caller) => {
      const { credential } = parseBootstrapToken(request.token);
      const tokenHash = hashCredential(credential);
      const keyId = await prove(request, tokenHash);
      const ipAddress = addressOf(request, caller.address);
      const claim: Claim = { request, tokenHash, keyId, ipAddress, nowMs: now(), downAfterMs };
      const { target, token, created } = await store.transaction(async (tx) => {
        const outcome = await admit(tx, claim);
        const change = {
          action: "node.register",
          resourceId: outcome.target.id,
          details: { token: outcome.token.id, hostname: request.hostname, created: outcome.created },
        };
        await tx.audit.append(toAuditEntry(caller, change, "ok", claim.nowMs));
        return outcome;
      });
      nodes.forget(target.id);
      return answer(target, token, created);
    },
  };
}

interface Outcome {
  readonly target: Target;
  readonly token: TokenRecord;
  readonly created: boolean;
}

/** Which record the claim is about, and whether it costs a use. */
async function admit(tx: Tables, claim: Claim): Promise<Outcome> {
  const { request, keyId } = claim;
  const token = await tx.tokens.findByHash(claim.tokenHash);
  if (token === undefined) throw new UnauthorizedError("TOKEN_INVALID", "no such bootstrap token");
  if (token.revoked_at !== undefined) throw new UnauthorizedError("TOKEN_REVOKED", "the bootstrap token was revoked");
  const sameKey = keyId === undefined ? undefined : await tx.targets.findByKey(keyId);
  if (sameKey !== undefined) {
    // A retry after a lost answer: good even when this very registration took the last use.
    if (sameKey.token_id !== token.id) assertUsable(token, claim.nowMs, { uses: false });
    return { target: await refresh(tx, sameKey, claim), token, created: false };
  }
  const sameHost = await tx.targets.findByHostname(request.hostname);
  if (sameHost === undefined) return enrol(tx, claim, token);
  return takeOver(tx, claim, token, sameHost);
}

async function enrol(tx: Tables, claim: Claim, token: TokenRecord): Promise<Outcome> {
  const used = await consume(tx, token, claim.nowMs);
  const groupIds = await chooseGroups(tx, claim.request, token);
  const { request, nowMs } = claim;
  const target = compact<Target>({
    ...describe(claim, token, {}),
    id: Bun.randomUUIDv7(),
    hostname: request.hostname,
    status: "active",
    group_key: groupKeyOf(groupIds),
    group_ids: groupIds,
    exporters: toExporters(request.exporters ?? [{ type: "node_exporter", port: 9100 }]),
    last_seen_at: nowMs,
    applied_revision: undefined,
    report: undefined,
    report_sequence: undefined,
    created_at: nowMs,
    deleted_at: undefined,
  });
  await tx.targets.create(target);
  return { target, token: used, created: true };
}

/** A replaced or reinstalled instance under an old host name keeps the record, its groups and its history. */
async function takeOver(tx: Tables, claim: Claim, token: TokenRecord, old: Target): Promise<Outcome> {
  const { request, keyId } = claim;
  if (keyId === undefined && old.key_id !== undefined) {
    throw new ConflictError(
      "ALREADY_EXISTS",
      `${old.hostname} is registered with a key; register with public_key and proof`,
    );
  }
  // Or a token for one group would hand out the checks of another, by nothing but a host name.
  for (const id of old.group_ids) assertGroupAllowed(token, id);
  const sameMachine = request.instance_id !== undefined ? request.instance_id === old.instance_id : keyId === undefined;
  if (!sameMachine) assertSilent(old, claim);
  const repeated = keyId === undefined && sameMachine && old.token_id === token.id;
  if (!repeated) assertUsable(token, claim.nowMs, { uses: true });
  const used = sameMachine ? token : await consume(tx, token, claim.nowMs);
  return { target: await refresh(tx, old, claim, token), token: used, created: false };
}

/** Or whoever has a token and knows a host name could push out the machine that bears it. */
function assertSilent({ hostname, key_id, last_seen_at = 0 }: Target, { nowMs, downAfterMs }: Claim): void {
  const silentMs = nowMs - last_seen_at;
  if (key_id === undefined || silentMs >= downAfterMs) return;
  const wait = `another instance takes its record over after ${downAfterMs / 1000} s of silence, or once the target is deleted`;
  const retryAfterSeconds = Math.ceil((downAfterMs - silentMs) / 1000);
  const message = `${hostname} was here ${Math.round(silentMs / 1000)} s ago: ${wait}`;
  throw new ConflictError("IN_USE", message, { hostname, retry_after_seconds: retryAfterSeconds });
}

/** New facts about a known node. Groups stay as they are: an admin may have moved it since. */
async function refresh(tx: Tables, old: Target, claim: Claim, token?: TokenRecord): Promise<Target> {
  const { request, nowMs } = claim;
  const target = compact<Target>({
    ...old,
    ...describe(claim, token, old),
    hostname: request.hostname,
    status: old.status === "down" ? "active" : old.status,
    exporters: request.exporters === undefined ? old.exporters : toExporters(request.exporters),
  });
  await tx.targets.reregister(target);
  await tx.targets.recordHeartbeats([{ targetId: target.id, seenAtMs: nowMs }]);
  return target;
}

/** The facts that a registration brings; `old` gives what it leaves out. */
function describe({ request, keyId, ipAddress, nowMs }: Claim, token: TokenRecord | undefined, old: Partial<Target>) {
  return {
    ip_address: ipAddress,
    labels: { ...old.labels, ...token?.labels, ...request.labels },
    metadata: request.metadata ?? old.metadata ?? {},
    inventory: request.inventory ?? old.inventory ?? {},
    instance_id: request.instance_id ?? old.instance_id,
    boot_id: request.boot_id ?? old.boot_id,
    daemon_version: request.daemon_version ?? old.daemon_version,
    public_key: request.public_key ?? old.public_key,
    key_id: keyId ?? old.key_id,
    token_id: token?.id ?? old.token_id,
    updated_at: nowMs,
  };
}

async function consume(tx: Tables, token: TokenRecord, nowMs: number): Promise<TokenRecord> {
  const used = await tx.tokens.consume(token.id, nowMs);
  if (used !== undefined) return { ...token, uses: used.uses };
  assertUsable((await tx.tokens.get(token.id)) ?? token, nowMs, { uses: true });
  throw new UnauthorizedError("TOKEN_REVOKED", "the bootstrap token was revoked");
}

function assertUsable(token: TokenRecord, nowMs: number, { uses }: { uses: boolean }): void {
  if (token.expires_at <= nowMs) throw new UnauthorizedError("TOKEN_EXPIRED", "the bootstrap token has expired");
  if (uses && token.uses >= token.max_uses)
    throw new UnauthorizedError("TOKEN_EXHAUSTED", "all uses of the bootstrap token are taken");
}

/** primary_group, else group_id, else the token's default, else the fallback; secondary groups behind it. */
async function chooseGroups(tx: Tables, request: RegistrationRequest, token: TokenRecord): Promise<string[]> {
  const byPath = async (path: string, field: string) =>
    (await tx.groups.findByPath(path))?.id ?? fail(field, `no group ${path}`);
  const byId = async (id: string) => (await tx.groups.get(id))?.id ?? fail("group_id", `no group ${id}`);
  const chosen =
    request.primary_group !== undefined
      ? await byPath(request.primary_group, "primary_group")
      : request.group_id !== undefined
        ? await byId(request.group_id)
        : undefined;
  const secondary = await Promise.all((request.secondary_groups ?? []).map((path) => byPath(path, "secondary_groups")));
  for (const id of [chosen, ...secondary]) if (id !== undefined) assertGroupAllowed(token, id);
  const primary = chosen ?? token.default_group_id ?? (await byPath(fallbackGroup, "primary_group"));
  return [...new Set([primary, ...secondary])];
}

function assertGroupAllowed({ default_group_id, allowed_groups: allowed }: TokenRecord, id: string): void {
  if (allowed.length === 0 || id === default_group_id || allowed.includes(id)) return;
  throw new ForbiddenError("the bootstrap token does not allow this group", { details: { group_id: id } });
}

function addressOf({ ip_address: given }: RegistrationRequest, peer: string): string {
  if (given !== undefined && isIP(given) === 0) fail("ip_address", "not an IP address");
  return given ?? peer;
}

function assertStrong(publicKey: string): void {
  try {
    parsePublicKey(publicKey);
  } catch (error) {
    if (error instanceof KeyError) fail("public_key", error.message);
    throw error;
  }
}

function fail(field: string, message: string): never {
  throw new ValidationError(`${field}: ${message}`, { details: { field } });
}
