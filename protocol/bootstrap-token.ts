import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { ValidationError } from "./errors.ts";

/** What a node (or an admin's script) presents to register. */
export interface BootstrapToken {
  /** The public part, safe in logs; absent in a token whose text the admin chose. */
  readonly id: string | undefined;
  /** The part that is hashed: the whole token less the fingerprint. */
  readonly credential: string;
  /** Fingerprint of the server's signing key. Without it the node needs `server_fingerprint` in its configuration. */
  readonly serverFingerprint: string | undefined;
}

const prefix = "aami_bootstrap_";
// Fixed lengths, because base64url contains the separator.
const generated = /^aami_bootstrap_([a-z2-7]{10})_([A-Za-z0-9_-]{43})(?:_([A-Za-z0-9_-]{43}))?$/;
const chosen = /^[\x21-\x7e]{16,256}$/;
const base32 = "abcdefghijklmnopqrstuvwxyz234567";

/** `aami_bootstrap_<id>_<secret>_<fingerprint of the server's signing key>`: 256 random bits, shown once. */
export function createBootstrapToken(
  serverFingerprint: string,
  id = createTokenId(),
): { id: string; credential: string; token: string } {
  const credential = `${prefix}${id}_${randomBytes(32).toString("base64url")}`;
  return { id, credential, token: `${credential}_${serverFingerprint}` };
}

/** Ten characters, safe in logs and URLs. */
export function createTokenId(): string {
  return Array.from(randomBytes(10), (byte) => base32[byte & 31]).join("");
}

/** Pure; throws ValidationError without ever repeating the token. */
export function parseBootstrapToken(text: string): BootstrapToken {
  const match = generated.exec(text);
  if (match !== null) {
    const [, id, secret, serverFingerprint] = match;
    return { id, credential: `${prefix}${id}_${secret}`, serverFingerprint };
  }
  if (text.startsWith(prefix))
    throw new ValidationError("the bootstrap token is cut off or mistyped", { details: { field: "token" } });
  if (!chosen.test(text)) {
    throw new ValidationError("a bootstrap token is 16 to 256 printable characters without spaces", {
      details: { field: "token" },
    });
  }
  return { id: undefined, credential: text, serverFingerprint: undefined };
}

/** Hex SHA-256 of the credential: what the server stores, and what the proof of possession is bound to. */
export function hashCredential(credential: string): string {
  return createHash("sha256").update(credential).digest("hex");
}

/** Constant-time comparison of two hex digests. */
export function equalHashes(left: string, right: string): boolean {
  const a = Buffer.from(left, "hex");
  const b = Buffer.from(right, "hex");
  return a.length === 32 && b.length === 32 && timingSafeEqual(a, b);
}

const roleToken = /^aami_[a-z]+_[A-Za-z0-9_-]{43}$/;

/** A bearer token for people, CI and Prometheus: its role for the reader, 256 random bits; stored hashed. */
export function createRoleToken(role: string): string {
  return `aami_${role}_${randomBytes(32).toString("base64url")}`;
}

/** What an Authorization header carries: a token of ours, a proof that a node signed, or neither. */
export function kindOfCredential(text: string): "token" | "proof" | "malformed" | "bootstrap" {
  if (text.startsWith(prefix)) return "bootstrap";
  if (roleToken.test(text)) return "token";
  // A proof is a JWT: three parts between dots, none of which a token of ours has.
  return text.split(".").length === 3 ? "proof" : "malformed";
}
