import type { BundleState } from "../../protocol/bundle.ts";
import { createSigningKey, sha256Hex, type SigningKey } from "../../protocol/keys.ts";
import { signDocument, type TrustedKey } from "../../protocol/signed-document.ts";
import { CompactSign } from "jose";

export const nowMs = Date.parse("2026-11-20T12:00:00Z");
export const script = "#!/bin/bash\necho 'x 1'\n";
export const serverKey = createSigningKey();
export const otherKey = createSigningKey();

export const toTrusted = ({ id, publicKey }: SigningKey): TrustedKey => ({ id, public_key: publicKey });

export const check = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  instance_id: "policy-1",
  name: "data_disk",
  script_type: "disk",
  language: "bash",
  version: "1.0.0",
  hash: sha256Hex(script),
  size_bytes: script.length,
  config: { warn: 85 },
  interval_seconds: 60,
  timeout_seconds: 10,
  permissions: {},
  scope: "global",
  priority: 100,
  ...overrides,
});

export const manifest = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  type: "bundle",
  spec: 1,
  fleet: "f-1",
  epoch: 1,
  version: 6,
  issued: "2026-11-20T09:00:00Z",
  expires: "2026-12-20T09:00:00Z",
  trusted_keys: [toTrusted(serverKey)],
  groups: [],
  checks: [check()],
  ...overrides,
});

export const state = (overrides: Partial<BundleState> = {}): BundleState => ({
  fleet: "f-1",
  trustedKeys: [toTrusted(serverKey)],
  epoch: 1,
  version: 5,
  hash: "00",
  clockFloorMs: 0,
  ...overrides,
});

export async function seal(payload: unknown, key = serverKey): Promise<Uint8Array> {
  return Buffer.from(await signDocument("aami-bundle+jws", payload, key));
}

/** For payloads and headers that signDocument would never make. */
export async function sealRaw(payload: string | Uint8Array, header: Record<string, unknown> = {}): Promise<Uint8Array> {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const protectedHeader = { alg: "EdDSA", typ: "aami-bundle+jws", kid: serverKey.id, ...header };
  return Buffer.from(await new CompactSign(bytes).setProtectedHeader(protectedHeader).sign(serverKey.privateKey));
}
