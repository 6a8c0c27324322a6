import { type Static, Type as t } from "@sinclair/typebox";

/** Limits that server and node both apply. */
export const Limits = {
  bundleBytes: 4 * 1024 * 1024,
  scriptBytes: 256 * 1024,
  /** Sum of all scripts of one bundle. */
  scriptsBytes: 32 * 1024 * 1024,
  /** A script gets its configuration as one environment string, which Linux limits to 128 KiB. */
  configBytes: 64 * 1024,
  checks: 500,
  /** A node's status with 500 checks, or with 100 and what they said. */
  statusBytes: 256 * 1024,
  trustedKeys: 16,
  clockAheadSeconds: 24 * 3600,
} as const;

export const CheckName = t.String({
  pattern: "^[a-z][a-z0-9_-]{0,62}$",
  description: "Lower-case letters, digits, `_` and `-`, beginning with a letter; at most 63 characters.",
});
export const CheckLanguage = t.Union([t.Literal("bash"), t.Literal("python"), t.Literal("builtin")]);
export type CheckLanguage = Static<typeof CheckLanguage>;

/** Absolute, without `.`/`..` components, spaces or control characters: it may become an argument of the sandbox. */
export const SandboxPath = t.String({
  pattern: "^(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9_.@+:,=-]+)+$",
  maxLength: 1024,
});

/** What a check asks for. A field that a node does not know refuses the check: it may be a restriction. */
export const Permissions = t.Object(
  {
    view: t.Union([t.Literal("minimal"), t.Literal("hostfs")], { default: "minimal" }),
    paths: t.Array(SandboxPath, {
      default: [],
      maxItems: 64,
      description: "Mount points and files the check looks at, read-only.",
    }),
    write: t.Array(SandboxPath, {
      default: [],
      maxItems: 16,
      description: "Probe directories owned by the check user.",
    }),
    network: t.Union([t.Literal("none"), t.Literal("host")], { default: "none" }),
    devices: t.Array(t.String({ pattern: "^[a-z][a-z0-9_-]{0,31}$" }), {
      default: [],
      maxItems: 16,
      description: "Named device grants, for example `nvidia` or `infiniband`.",
    }),
    sockets: t.Array(t.String({ pattern: "^[a-z][a-z0-9_-]{0,31}$" }), {
      default: [],
      maxItems: 8,
      description: "Named socket grants, for example `dbus`.",
    }),
    memory_mb: t.Integer({ default: 256, minimum: 16, maximum: 65536 }),
    pids: t.Integer({ default: 64, minimum: 1, maximum: 4096 }),
    output_kb: t.Integer({ default: 1024, minimum: 1, maximum: 16384 }),
  },
  { additionalProperties: false },
);
export type Permissions = Static<typeof Permissions>;

export const defaultPermissions: Permissions = {
  view: "minimal",
  paths: [],
  write: [],
  network: "none",
  devices: [],
  sockets: [],
  memory_mb: 256,
  pids: 64,
  output_kb: 1024,
};

const Sha256 = t.String({ pattern: "^[0-9a-f]{64}$" });
const Timestamp = t.String({ pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$" });
const Counter = t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** One check of a bundle, resolved by the server: the configuration is merged, the winning policy chosen. */
export const ManifestCheck = t.Object({
  /** Id of the policy that put the check here. */
  instance_id: t.String({ minLength: 1, maxLength: 64 }),
  name: CheckName,
  script_type: t.String({ maxLength: 64 }),
  // Not an enumeration here: a language of a newer server refuses one check, not the whole bundle.
  language: t.String({ maxLength: 32 }),
  version: t.String({ maxLength: 64 }),
  /** SHA-256 of the script, which is fetched as a blob. For `builtin` of the (possibly empty) script_content. */
  hash: Sha256,
  size_bytes: t.Integer({ minimum: 0, maximum: Limits.scriptBytes }),
  config: t.Record(t.String(), t.Unknown()),
  /** Exactly one of interval_seconds and schedule (a cron pattern) is present. */
  interval_seconds: t.Optional(t.Number({ minimum: 1, maximum: 86400 })),
  schedule: t.Optional(t.String({ minLength: 1, maxLength: 128 })),
  timeout_seconds: t.Number({ minimum: 1, maximum: 3600 }),
  permissions: t.Record(t.String(), t.Unknown()),
  scope: t.Union([t.Literal("global"), t.Literal("group")]),
  /** Group whose policy won; absent for a global one. Joins results with alert rules. */
  group_id: t.Optional(t.String({ maxLength: 64 })),
  priority: t.Integer({ minimum: 0 }),
});
export type ManifestCheck = Static<typeof ManifestCheck>;

export const ManifestKey = t.Object({
  id: t.String({ minLength: 43, maxLength: 43 }),
  public_key: t.String({ minLength: 43, maxLength: 43 }),
});

export const ManifestPeer = t.Object({
  node_id: t.String({ minLength: 1, maxLength: 64 }),
  url: t.String({ maxLength: 512 }),
  public_key: t.String({ minLength: 43, maxLength: 43 }),
});

const identity = {
  type: t.Literal("bundle"),
  spec: t.Literal(1),
  fleet: t.String({ minLength: 1, maxLength: 64 }),
  epoch: Counter,
  version: Counter,
  issued: Timestamp,
  expires: Timestamp,
};

/** The part that decides whether a bundle is for this node and newer than what it has; judged before the rest. */
export const ManifestIdentity = t.Object(identity);
export type ManifestIdentity = Static<typeof ManifestIdentity>;

/** The signed payload. Unknown fields are ignored, except in `permissions`. */
export const Manifest = t.Object({
  ...identity,
  trusted_keys: t.Array(ManifestKey, { minItems: 1, maxItems: Limits.trustedKeys }),
  groups: t.Array(t.Object({ id: t.String({ maxLength: 64 }), path: t.String({ maxLength: 512 }) }), { maxItems: 256 }),
  checks: t.Array(ManifestCheck, { maxItems: Limits.checks }),
  peers: t.Optional(t.Array(ManifestPeer, { maxItems: 256 })),
});
export type Manifest = Static<typeof Manifest>;
