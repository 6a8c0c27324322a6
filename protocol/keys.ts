import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

export class KeyError extends Error {
  readonly fault: "key_form" | "key_weak";

  constructor(fault: "key_form" | "key_weak", message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "KeyError";
    this.fault = fault;
  }
}

/** An Ed25519 key pair in memory. `id` is the fingerprint of the public key. */
export interface SigningKey {
  readonly id: string;
  /** The 32 bytes of the public key, base64url. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

const fieldPrime = (1n << 255n) - 19n;
const yMask = (1n << 255n) - 1n;
// y of the points of order 4, 1, 2, 8 and 8. The runtime's verifier accepts these keys: the all-zero key with an
// all-zero signature is "valid" for every message, so such a key must never become trusted.
const smallOrderY = new Set([
  0n,
  1n,
  fieldPrime - 1n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
]);

/** The bytes of a public key that may be trusted; throws KeyError for a wrong length, a non-canonical or weak point. */
export function parsePublicKey(publicKey: string): Uint8Array {
  const bytes = Buffer.from(publicKey, "base64url");
  if (bytes.length !== 32 || bytes.toString("base64url") !== publicKey) {
    throw new KeyError("key_form", "an Ed25519 public key is 32 bytes in base64url without padding");
  }
  const y = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`) & yMask;
  if (y >= fieldPrime || smallOrderY.has(y)) throw new KeyError("key_weak", "the public key is weak or not canonical");
  return bytes;
}

/** RFC 7638 thumbprint (SHA-256, base64url): what tokens carry, what `kid` names. */
export function fingerprint(publicKey: string): string {
  return createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${publicKey}"}`).digest("base64url");
}

/** For verification; refuses weak keys first. */
export function importPublicKey(publicKey: string): KeyObject {
  parsePublicKey(publicKey);
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
}

export function createSigningKey(): SigningKey {
  return toSigningKey(generateKeyPairSync("ed25519").privateKey);
}

/** PKCS#8 PEM, the form in which private keys are stored. */
export function exportSigningKey(key: SigningKey): string {
  return key.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export function importSigningKey(pem: string): SigningKey {
  try {
    return toSigningKey(createPrivateKey(pem));
  } catch (error) {
    if (error instanceof KeyError) throw error;
    throw new KeyError("key_form", "not an Ed25519 private key in PKCS#8 PEM", { cause: error });
  }
}

function toSigningKey(privateKey: KeyObject): SigningKey {
  const { crv, x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (crv !== "Ed25519" || x === undefined) throw new KeyError("key_form", "not an Ed25519 key");
  return { id: fingerprint(x), publicKey: x, privateKey };
}

/** Lower-case hex SHA-256, the hash of scripts and of bundle payloads. */
export function sha256Hex(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
