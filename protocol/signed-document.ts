import { CompactSign, compactVerify } from "jose";
import { AppError } from "./errors.ts";
import { fingerprint, importPublicKey, KeyError, type SigningKey } from "./keys.ts";
import { JsonError, type JsonFault, parseStrictJson } from "./strict-json.ts";

/** The `typ` of a signature: one kind of document never passes for another. */
export type DocumentType = "aami-bundle+jws" | "aami-registration+jws" | "aami-beat+jws";

export interface TrustedKey {
  /** Fingerprint of `public_key`; only a hint, always recomputed. */
  readonly id: string;
  readonly public_key: string;
}

export type DocumentFault =
  JsonFault | "too_large" | "envelope_form" | "document_type" | "signature" | "key_form" | "key_weak";

/** Why signed bytes were not accepted; `code` is what status reports and metrics carry. */
export class DocumentError extends AppError {
  override readonly code: DocumentFault;
  readonly status = 422;

  constructor(code: DocumentFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface OpenedDocument {
  readonly payload: unknown;
  readonly payloadBytes: Uint8Array;
  /** The trusted key that signed it. */
  readonly keyId: string;
}

/** A compact JWS over exactly these bytes. */
export async function signDocument(type: DocumentType, payload: unknown, key: SigningKey): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  return new CompactSign(bytes).setProtectedHeader({ alg: "EdDSA", typ: type, kid: key.id }).sign(key.privateKey);
}

/** Size, envelope, signature, strict parse, in this order: nothing unsigned is ever interpreted. */
export async function openDocument(
  bytes: Uint8Array,
  want: { readonly type: DocumentType; readonly trustedKeys: readonly TrustedKey[]; readonly maxBytes: number },
): Promise<OpenedDocument> {
  if (bytes.length > want.maxBytes) throw new DocumentError("too_large", `larger than ${want.maxBytes} bytes`);
  const text = Buffer.from(bytes).toString("latin1");
  const { header, payloadBytes } = splitCompact(text);
  const keyId = readHeader(header, want.type);
  const trusted = want.trustedKeys.find((key) => fingerprint(key.public_key) === keyId);
  if (trusted === undefined) throw new DocumentError("signature", "signed by a key that is not trusted");
  await verify(text, trusted.public_key);
  return { payload: parsePayload(payloadBytes), payloadBytes, keyId };
}

function splitCompact(text: string): { header: Uint8Array; payloadBytes: Uint8Array } {
  const parts = text.split(".", 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new DocumentError("envelope_form", "not a compact JWS");
  }
  if (decode(signature).length !== 64) throw new DocumentError("envelope_form", "the signature is not 64 bytes");
  return { header: decode(header), payloadBytes: decode(payload) };
}

// Several base64url texts decode to the same bytes; only one of them is accepted, so that bytes have one envelope.
function decode(part: string): Uint8Array {
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) throw new DocumentError("envelope_form", "not canonical base64url");
  return bytes;
}

function readHeader(bytes: Uint8Array, type: DocumentType): string {
  const header = parsePayload(bytes);
  const { alg, typ, kid, ...rest } = (typeof header === "object" && header !== null ? header : {}) as Record<
    string,
    unknown
  >;
  if (Object.keys(rest).length > 0 || typeof kid !== "string") {
    throw new DocumentError("envelope_form", "the protected header holds exactly alg, typ and kid");
  }
  if (alg !== "EdDSA") throw new DocumentError("envelope_form", "the signature algorithm is not EdDSA");
  if (typ !== type) throw new DocumentError("document_type", `not a document of type ${type}`);
  return kid;
}

async function verify(text: string, publicKey: string): Promise<void> {
  try {
    await compactVerify(text, importPublicKey(publicKey), { algorithms: ["EdDSA"] });
  } catch (error) {
    if (error instanceof KeyError) throw new DocumentError(error.fault, error.message, error);
    throw new DocumentError("signature", "the signature does not match", error);
  }
}

function parsePayload(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) throw new DocumentError(error.fault, error.message, error);
    throw error;
  }
}
