import { createHash, type KeyObject, randomUUID } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { AppError } from "./errors.ts";
import { importPublicKey, type SigningKey } from "./keys.ts";

/** Lifetime of a proof, and the greatest difference of clocks that is accepted. */
export const proofLifetimeSeconds = 300;

export type CredentialFault = "INVALID_CREDENTIAL" | "CLOCK_SKEW" | "REPLAYED" | "NODE_UNKNOWN" | "NODE_REVOKED";

/** A request that does not prove who sent it. `details.server_time` lets a node with a wrong clock retry once. */
export class CredentialError extends AppError {
  override readonly code: CredentialFault;
  readonly status = 401;

  constructor(
    code: CredentialFault,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options);
    this.code = code;
  }
}

/** Remembers ids until they expire. `claim` answers false for an id that it has seen. */
export interface ReplayMemory {
  claim(id: string, expiresAtMs: number): boolean | Promise<boolean>;
}

/** What a proof is bound to. `path` is path and query as the program sends them, from `/api/` (or `/peer/`) on. */
export interface RequestBinding {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array | string;
}

interface VerifyOptions {
  readonly audience: string;
  readonly nowMs: number;
  readonly replay: ReplayMemory;
}

/** An imported key that is kept saves a quarter of the cost of a verification. */
type PublicKeyOf = (id: string) => Promise<string | KeyObject | undefined>;

const requestType = "aami-request+jwt";
const registrationType = "aami-registration+jwt";

/** `Authorization: Bearer <jwt>` of a node's request; `audience` is the fleet id (or, between peers, the peer's node id). */
export async function signNodeRequest(
  request: RequestBinding & {
    readonly nodeId: string;
    readonly audience: string;
    readonly key: SigningKey;
    readonly nowMs: number;
  },
): Promise<string> {
  const claims = { htm: request.method, htu: request.path, bh: bodyHash(request.body) };
  return sign(claims, { ...request, type: requestType, kid: request.nodeId });
}

export async function verifyNodeRequest(
  token: string,
  request: RequestBinding,
  options: VerifyOptions & { readonly publicKeyOf: PublicKeyOf },
): Promise<{ readonly nodeId: string }> {
  const { payload, kid } = await verify(token, { ...options, type: requestType });
  if (
    payload["htm"] !== request.method ||
    payload["htu"] !== request.path ||
    payload["bh"] !== bodyHash(request.body)
  ) {
    throw new CredentialError("INVALID_CREDENTIAL", "the proof was made for another request");
  }
  return { nodeId: kid };
}

/** Proof of possession in a registration: signed by the new key, bound to the token and to the server. */
export async function signRegistrationProof(proof: {
  readonly key: SigningKey;
  /** hashCredential() of the bootstrap token. */
  readonly tokenHash: string;
  /** Fingerprint of the server's signing key: also the key that must sign the answer. */
  readonly serverFingerprint: string;
  readonly nowMs: number;
}): Promise<string> {
  const { key, tokenHash, serverFingerprint, nowMs } = proof;
  return sign({ tkh: tokenHash }, { key, audience: serverFingerprint, nowMs, type: registrationType, kid: key.id });
}

export async function verifyRegistrationProof(
  token: string,
  options: Omit<VerifyOptions, "audience"> & {
    readonly audiences: readonly string[];
    readonly publicKey: string;
    readonly tokenHash: string;
  },
): Promise<{ readonly serverFingerprint: string; readonly proofId: string }> {
  const { payload } = await verify(token, {
    ...options,
    audience: [...options.audiences],
    type: registrationType,
    publicKeyOf: async () => options.publicKey,
  });
  if (payload["tkh"] !== options.tokenHash || typeof payload.aud !== "string") {
    throw new CredentialError("INVALID_CREDENTIAL", "the proof was made for another bootstrap token");
  }
  return { serverFingerprint: payload.aud, proofId: payload.jti ?? "" };
}

interface SignOptions {
  readonly key: SigningKey;
  readonly audience: string;
  readonly nowMs: number;
  readonly type: string;
  readonly kid: string;
}

async function sign(claims: Record<string, string>, { key, audience, nowMs, type, kid }: SignOptions): Promise<string> {
  const now = Math.floor(nowMs / 1000);
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", typ: type, kid })
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + proofLifetimeSeconds)
    .setJti(randomUUID())
    .sign(key.privateKey);
}

async function verify(
  token: string,
  options: Omit<VerifyOptions, "audience"> & {
    readonly audience: string | string[];
    readonly type: string;
    readonly publicKeyOf: PublicKeyOf;
  },
) {
  const { payload, protectedHeader } = await verifySignature(token, options);
  const { iat = 0, exp = 0, jti } = payload;
  const now = options.nowMs / 1000;
  if (Math.abs(now - iat) > proofLifetimeSeconds) throw clockSkew(options.nowMs);
  if (exp <= iat || exp - iat > proofLifetimeSeconds || jti === undefined || jti.length > 64) {
    throw new CredentialError("INVALID_CREDENTIAL", "the proof lives longer than allowed or has no id");
  }
  const kid = protectedHeader.kid ?? "";
  // As long as its clock may be behind ours and the proof still counts.
  if (!(await options.replay.claim(`${kid}/${jti}`, (exp + proofLifetimeSeconds) * 1000))) {
    throw new CredentialError("REPLAYED", "the proof was used before");
  }
  return { payload, kid };
}

type SignatureOptions = Parameters<typeof verify>[1];

async function verifySignature(token: string, { audience, type, nowMs, publicKeyOf }: SignatureOptions) {
  try {
    return await jwtVerify(
      token,
      async ({ kid }) => {
        const publicKey = kid === undefined ? undefined : await publicKeyOf(kid);
        if (publicKey === undefined) throw new CredentialError("NODE_UNKNOWN", "no such node");
        return typeof publicKey === "string" ? importPublicKey(publicKey) : publicKey;
      },
      {
        audience,
        typ: type,
        algorithms: ["EdDSA"],
        currentDate: new Date(nowMs),
        clockTolerance: proofLifetimeSeconds,
        requiredClaims: ["iat", "exp", "jti"],
      },
    );
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    if (error instanceof errors.JWTExpired) throw clockSkew(nowMs, error);
    throw new CredentialError("INVALID_CREDENTIAL", "the proof is malformed or not signed by this key", {
      cause: error,
    });
  }
}

function clockSkew(nowMs: number, cause?: unknown): CredentialError {
  const details = { server_time: new Date(nowMs).toISOString(), allowed_seconds: proofLifetimeSeconds };
  return new CredentialError("CLOCK_SKEW", "the clocks of the two machines differ too much", { cause, details });
}

function bodyHash(body: Uint8Array | string): string {
  return createHash("sha256").update(body).digest("base64url");
}
