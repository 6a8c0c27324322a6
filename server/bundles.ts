import { bundleEtag } from "../protocol/bundle.ts";
import { sha256Hex } from "../protocol/keys.ts";
import { Limits, type Manifest, type ManifestCheck } from "../protocol/manifest.ts";
import type { EffectiveCheck } from "../protocol/registration.ts";
import { signDocument } from "../protocol/signed-document.ts";
import type { Logger } from "../runtime/log.ts";
import { mergeConfig, resolvePolicies, toEffectiveCheck } from "./domain/effective.ts";
import { groupKeyOf, pathsUpwards } from "./domain/groups.ts";
import { resolvePermissions } from "./domain/script.ts";
import type { ServerIdentity } from "./identity.ts";
import type { Revisions } from "./revisions.ts";
import type { StoredBundle } from "./store/bundles.ts";
import type { Group } from "./store/groups.ts";
import type { Policy } from "./store/policies.ts";
import { compact } from "./store/rows.ts";
import type { Store, Tables } from "./store/store.ts";

const dayMs = 24 * 3600 * 1000;
const lifetimeMs = 30 * dayMs;
// Re-signed long before it expires, so that a server that is away for weeks leaves installable bundles behind.
const reissueAfterMs = 7 * dayMs;
const maxCachedSets = 10_000;

export interface ServedBundle {
  readonly etag: string;
  /** The signed document, encoded once. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly epoch: number;
  readonly version: number;
}

export interface Bundles {
  /** The bundle of a set of groups at the current revision; computed once however many nodes ask. */
  forGroups(groupIds: readonly string[]): Promise<ServedBundle>;
  effectiveChecks(groupIds: readonly string[]): Promise<EffectiveCheck[]>;
}

interface BundleOptions {
  readonly store: Store;
  readonly identity: ServerIdentity;
  readonly revisions: Pick<Revisions, "current">;
  readonly log: Logger;
  readonly now: () => number;
}

export function createBundles(options: BundleOptions): Bundles {
  const { store, revisions, now } = options;
  const cache = new Map<
    string,
    { readonly revision: number; readonly until: number; readonly bundle: Promise<ServedBundle> }
  >();

  return {
    forGroups: (groupIds) => {
      const key = groupKeyOf(groupIds);
      const revision = revisions.current();
      const cached = cache.get(key);
      if (cached !== undefined && cached.revision === revision && cached.until > now()) return cached.bundle;
      const bundle = issue(key, groupIds, options);
      if (cache.size >= maxCachedSets) cache.delete(cache.keys().next().value ?? "");
      cache.set(key, { revision, until: now() + dayMs, bundle });
      bundle.catch(() => cache.delete(key)); // the caller gets the error; the next one tries again
      return bundle;
    },
    effectiveChecks: async (groupIds) => {
      const { policies } = await resolve(store, groupIds);
      return policies.map(toEffectiveCheck);
    },
  };
}

async function issue(groupKey: string, groupIds: readonly string[], options: BundleOptions): Promise<ServedBundle> {
  const { store, identity, log, now } = options;
  const isCurrent = (stored: StoredBundle | undefined, { contentHash }: Content): stored is StoredBundle =>
    stored?.content_hash === contentHash && stored.issued_at > now() - reissueAfterMs;
  const found = await store.bundles.get(groupKey);
  if (isCurrent(found, await compose(store, groupIds, identity))) return toServed(found);

  return store.transaction(async (tx) => {
    // First of all: it makes those who issue at the same time, on other servers too, read one after the other. Otherwise
    // older content could get the higher version.
    const version = await tx.settings.next("bundle_version");
    const composed = await compose(tx, groupIds, identity);
    const stored = await tx.bundles.get(groupKey);
    if (isCurrent(stored, composed)) return toServed(stored);
    const bundle = await sign(groupKey, composed, { version, identity, nowMs: now() });
    await tx.bundles.put(bundle);
    const { checks, groups } = composed.content;
    log.info("issued a bundle", {
      version,
      checks: checks.length,
      groups: groups.length,
      size_bytes: bundle.document.length,
    });
    return toServed(bundle);
  });
}

interface Content {
  readonly content: Omit<Manifest, "type" | "spec" | "version" | "issued" | "expires">;
  readonly contentHash: string;
}

async function compose(tables: Tables, groupIds: readonly string[], identity: ServerIdentity): Promise<Content> {
  const { policies, groups } = await resolve(tables, groupIds);
  const content = {
    fleet: identity.fleet,
    epoch: identity.epoch,
    trusted_keys: (await tables.settings.signingKeys()).slice(0, Limits.trustedKeys),
    groups: groups.map(({ id, path }) => ({ id, path })),
    checks: policies.map(toManifestCheck),
  };
  // The signer decides too: a bundle signed by a retired key must be signed again.
  return { content, contentHash: sha256Hex(JSON.stringify([content, identity.signingKey.id])) };
}

async function sign(
  groupKey: string,
  { content, contentHash }: Content,
  { version, identity, nowMs }: { version: number; identity: ServerIdentity; nowMs: number },
): Promise<StoredBundle> {
  const issuedAt = Math.floor(nowMs / 1000) * 1000;
  const expiresAt = issuedAt + lifetimeMs;
  const times = { issued: toIso(issuedAt), expires: toIso(expiresAt) };
  const manifest: Manifest = { type: "bundle", spec: 1, ...content, version, ...times };
  const document = await signDocument("aami-bundle+jws", manifest, identity.signingKey);
  return {
    group_key: groupKey,
    epoch: identity.epoch,
    version,
    hash: sha256Hex(Buffer.from(document.split(".")[1] ?? "", "base64url")),
    content_hash: contentHash,
    document,
    issued_at: issuedAt,
    expires_at: expiresAt,
  };
}

async function resolve(tables: Tables, groupIds: readonly string[]): Promise<{ policies: Policy[]; groups: Group[] }> {
  const groups = await withAncestors(tables, groupIds);
  const policies = await tables.policies.activeFor(groups.map(({ id }) => id));
  return { policies: resolvePolicies(policies, groups), groups };
}

async function withAncestors({ groups }: Tables, groupIds: readonly string[]): Promise<Group[]> {
  const direct = await groups.getMany(groupIds);
  const paths = new Set(direct.flatMap(({ path }) => pathsUpwards(path)));
  const all = await Promise.all([...paths].toSorted().map((path) => groups.findByPath(path)));
  return all.filter((group) => group !== undefined);
}

function toManifestCheck(policy: Policy): ManifestCheck {
  const config = mergeConfig(policy);
  return compact<ManifestCheck>({
    instance_id: policy.id,
    name: policy.name,
    script_type: policy.script_type,
    language: policy.language,
    version: policy.version,
    hash: policy.hash,
    size_bytes: Buffer.byteLength(policy.script_content),
    config,
    interval_seconds: policy.interval_seconds,
    schedule: policy.schedule,
    timeout_seconds: policy.timeout_seconds,
    permissions: resolvePermissions(policy, config),
    scope: policy.scope,
    group_id: policy.group_id,
    priority: policy.priority,
  });
}

const toServed = ({ epoch, version, hash, document }: StoredBundle): ServedBundle => ({
  etag: bundleEtag({ epoch, version, hash }),
  bytes: new TextEncoder().encode(document),
  epoch,
  version,
});

const toIso = (timeMs: number): string => `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
