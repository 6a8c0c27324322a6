import { readFileSync, rmSync, statSync } from "node:fs";
import { parseBootstrapToken, type BootstrapToken } from "../../protocol/bootstrap-token.ts";
import { AppError, ValidationError } from "../../protocol/errors.ts";
import { isOpenToOthers } from "./private-file.ts";

export type TokenFault =
  | "TOKEN_MISSING"
  | "TOKEN_UNREADABLE"
  | "TOKEN_FILE_MODE"
  | "TOKEN_MALFORMED"
  | "FINGERPRINT_MISSING"
  | "FINGERPRINT_MISMATCH";

/** The node has no usable token; the message says what to do about it. */
export class TokenError extends AppError {
  override readonly code: TokenFault;
  readonly status = 400;

  constructor(code: TokenFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface UsableToken {
  readonly text: string;
  readonly token: BootstrapToken;
  /** Of the key that must sign the server's answer. */
  readonly serverFingerprint: string;
}

/** Reads the token and settles which server is meant; never without a fingerprint to verify the answer with. */
export function readBootstrapToken(path: string, configuredFingerprint: string | undefined): UsableToken {
  const text = readToken(path);
  const token = parseToken(path, text);
  const { serverFingerprint = configuredFingerprint } = token;
  if (serverFingerprint === undefined) {
    throw new TokenError(
      "FINGERPRINT_MISSING",
      "the token does not carry the fingerprint of the server's signing key: set server.signing_key_fingerprint",
    );
  }
  if (configuredFingerprint !== undefined && configuredFingerprint !== serverFingerprint) {
    throw new TokenError(
      "FINGERPRINT_MISMATCH",
      "the token is for a server with another signing key than server.signing_key_fingerprint",
    );
  }
  return { text, token, serverFingerprint };
}

function readToken(path: string): string {
  try {
    if (isOpenToOthers(path)) {
      throw new TokenError("TOKEN_FILE_MODE", `${path} can be read by others than its owner: chmod 600 ${path}`);
    }
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof TokenError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new TokenError(
        "TOKEN_MISSING",
        `no bootstrap token: create one on the control server and write it to ${path}`,
      );
    }
    throw new TokenError("TOKEN_UNREADABLE", `cannot read the bootstrap token ${path}`, error);
  }
}

function parseToken(path: string, text: string): BootstrapToken {
  try {
    return parseBootstrapToken(text);
  } catch (error) {
    if (error instanceof ValidationError) throw new TokenError("TOKEN_MALFORMED", `${path}: ${error.message}`, error);
    throw error;
  }
}

/** Changes when someone writes the file, so that a waiting node notices a new token at once. */
export function tokenFileStamp(path: string): string {
  const { mtimeMs, ctimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: 0, ctimeMs: 0, size: -1 };
  return `${mtimeMs}/${ctimeMs}/${size}`;
}

export function deleteTokenFile(path: string): void {
  rmSync(path, { force: true });
}
