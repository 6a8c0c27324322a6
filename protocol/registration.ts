import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ManifestKey } from "./manifest.ts";
import { DocumentError, openDocument, type TrustedKey } from "./signed-document.ts";

export const Hostname = t.String({
  pattern: "^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$",
  expects: 'letters, digits, ".", "-" and "_", at most 253',
  description: "Letters, digits, `.`, `-` and `_`; at most 253 characters.",
});
export const LabelName = t.String({ pattern: "^[a-zA-Z_][a-zA-Z0-9_]{0,127}$" });
export const StringMap = t.Record(t.String({ minLength: 1, maxLength: 128 }), t.String({ maxLength: 1024 }), {
  maxProperties: 64,
});
export const GroupPath = t.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,62}:[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,7}$",
  description: "`namespace:path`, for example `infrastructure:aws/us-east-1`.",
});

export const ExporterType = t.Union(
  ["node_exporter", "dcgm_exporter", "all_smi", "custom"].map((name) => t.Literal(name)),
  { description: "What answers on the port; the label `exporter_type` in service discovery." },
);
const Duration = t.String({ pattern: "^[1-9]\\d{0,5}(?:ms|s|m|h)$", description: "A duration such as 30s." });
export const Exporter = t.Object(
  {
    type: ExporterType,
    port: t.Integer({ minimum: 1, maximum: 65535 }),
    enabled: t.Optional(t.Boolean({ default: true })),
    scheme: t.Optional(t.Union([t.Literal("http"), t.Literal("https")], { default: "http" })),
    metrics_path: t.Optional(
      t.String({ pattern: "^/[^\\s?#]*$", maxLength: 256, default: "/metrics", description: "A path." }),
    ),
    scrape_interval: t.Optional(Duration),
    scrape_timeout: t.Optional(Duration),
    config: t.Optional(t.Record(t.String(), t.Unknown())),
  },
  { additionalProperties: false },
);
export type Exporter = Static<typeof Exporter>;

/** Hardware and operating system, as the daemon's inventory process found them. Everything may be missing. */
export const Inventory = t.Partial(
  t.Object({
    os: t.Record(t.String(), t.Unknown()),
    cpu: t.Record(t.String(), t.Unknown()),
    memory_bytes: t.Number({ minimum: 0 }),
    gpus: t.Array(t.Record(t.String(), t.Unknown()), { maxItems: 64 }),
    networks: t.Array(t.Record(t.String(), t.Unknown()), { maxItems: 256 }),
    disks: t.Array(t.Record(t.String(), t.Unknown()), { maxItems: 256 }),
    system: t.Record(t.String(), t.Unknown()),
    virtual: t.Boolean(),
  }),
);
export type Inventory = Static<typeof Inventory>;

export const RegistrationRequest = t.Object(
  {
    token: t.String({ minLength: 1, maxLength: 512 }),
    hostname: Hostname,
    /** The node's new key and its proof go together. Without them the record gets no node credential. */
    public_key: t.Optional(t.String({ minLength: 43, maxLength: 43 })),
    proof: t.Optional(t.String({ maxLength: 4096 })),
    ip_address: t.Optional(t.String({ maxLength: 64 })),
    primary_group: t.Optional(GroupPath),
    secondary_groups: t.Optional(t.Array(GroupPath, { maxItems: 32 })),
    group_id: t.Optional(t.String({ maxLength: 64 })),
    /** Cloud instance id, or the machine id: a new one under an old hostname is a replacement. */
    instance_id: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
    boot_id: t.Optional(t.String({ maxLength: 64 })),
    daemon_version: t.Optional(t.String({ maxLength: 64 })),
    labels: t.Optional(StringMap),
    metadata: t.Optional(StringMap),
    inventory: t.Optional(Inventory),
    exporters: t.Optional(t.Array(Exporter, { maxItems: 16 })),
  },
  { additionalProperties: false },
);
export type RegistrationRequest = Static<typeof RegistrationRequest>;

export const GroupReference = t.Object(
  {
    id: t.String(),
    name: t.String(),
    namespace: t.String(),
    /** `namespace:a/b/c` */
    path: t.String(),
    priority: t.Integer(),
  },
  { title: "GroupReference" },
);
export type GroupReference = Static<typeof GroupReference>;

/** The eight fields of GET /api/v1/checks/target/:id. */
export const EffectiveCheck = t.Object(
  {
    name: t.String(),
    script_type: t.String(),
    script_content: t.String(),
    language: t.String(),
    config: t.Record(t.String(), t.Unknown()),
    version: t.String(),
    hash: t.String(),
    instance_id: t.String(),
  },
  { title: "EffectiveCheck" },
);
export type EffectiveCheck = Static<typeof EffectiveCheck>;

export const RegistrationAnswer = t.Object(
  {
    node_id: t.String(),
    hostname: t.String(),
    fleet: t.String(),
    /** true: a new record; false: this node was known, or it took over the record of its hostname. */
    created: t.Boolean(),
    groups: t.Array(GroupReference),
    checks: t.Array(EffectiveCheck),
    bundle_path: t.String(),
    remaining_uses: t.Integer(),
    /** Present when a public key was registered: a document of type aami-registration+jws. */
    signed: t.Optional(t.String()),
    /** The key that signed it; the node accepts it only if its fingerprint is the one it was given. */
    signing_key: t.Optional(ManifestKey),
  },
  { title: "Registration" },
);
export type RegistrationAnswer = Static<typeof RegistrationAnswer>;

/** Payload of the signed part: everything that the node may believe. */
export const RegistrationStatement = t.Object({
  type: t.Literal("registration"),
  fleet: t.String({ minLength: 1, maxLength: 64 }),
  node_id: t.String({ minLength: 1, maxLength: 64 }),
  /** Fingerprint of the node's key. */
  node_key_id: t.String(),
  /** Milliseconds of the server's clock. */
  server_time_ms: t.Integer(),
  trusted_keys: t.Array(ManifestKey, { minItems: 1, maxItems: 16 }),
});
export type RegistrationStatement = Static<typeof RegistrationStatement>;

/** Verifies the answer to a registration; fails closed when anything does not match. */
export async function openRegistration(
  answer: Pick<RegistrationAnswer, "signed" | "signing_key">,
  expected: { readonly serverFingerprint: string; readonly nodeKeyId: string },
): Promise<RegistrationStatement> {
  const { signed, signing_key: signingKey } = answer;
  if (signed === undefined || signingKey === undefined)
    throw new DocumentError("envelope_form", "the server's answer is not signed");
  // The id in the answer is not trusted: openDocument recomputes it, and only the expected fingerprint is in the set.
  const trustedKeys: TrustedKey[] = signingKey.id === expected.serverFingerprint ? [signingKey] : [];
  const { payload, keyId } = await openDocument(Buffer.from(signed), {
    type: "aami-registration+jws",
    trustedKeys,
    maxBytes: 65536,
  });
  if (keyId !== expected.serverFingerprint) throw new DocumentError("signature", "not signed by the expected server");
  if (!Value.Check(RegistrationStatement, payload)) throw new DocumentError("envelope_form", "malformed registration");
  if (payload.node_key_id !== expected.nodeKeyId)
    throw new DocumentError("signature", "the answer is for another node's key");
  return payload;
}
