import { BodyError } from "../../protocol/errors.ts";
import { JsonError, parseStrictJson } from "../../protocol/strict-json.ts";

/** The raw body; a chunked one announces no length and is cut off at the limit. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = new BodyError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  if (request.body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body) {
    size += part.length;
    if (size > maxBytes) throw tooLarge;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Undefined for a request without a body; the route's schema says whether it needs one. */
export function parseJsonBody(bytes: Uint8Array, contentType: string | null): unknown {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  if (bytes.length === 0 && type === undefined) return undefined;
  if (type !== "application/json") {
    throw new BodyError(
      "UNSUPPORTED_MEDIA_TYPE",
      'the body must be JSON; send the header "Content-Type: application/json"',
    );
  }
  if (bytes.length === 0) {
    throw new BodyError("MALFORMED_JSON", "the body is empty; send JSON, or leave the header Content-Type out");
  }
  try {
    return parseStrictJson(bytes, { maxDepth: 32 });
  } catch (error) {
    if (error instanceof JsonError) throw new BodyError("MALFORMED_JSON", `${error.fault}: ${error.message}`, error);
    throw error;
  }
}
