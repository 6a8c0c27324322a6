/**
 * Every error that may cross a process or network border. `code` is stable and documented (docs/errors.md);
 * `status` is the HTTP status the control server answers with. Anything that is not an AppError becomes a bare 500.
 */
export abstract class AppError extends Error {
  abstract readonly code: string;
  abstract readonly status: number;
  /** Facts for the caller (field, value, limit). Never a secret. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.details = options.details;
  }
}

/** The body of every error answer of the control server. */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

export class ValidationError extends AppError {
  readonly code = "VALIDATION_ERROR";
  readonly status = 400;
}

export class NotFoundError extends AppError {
  readonly code = "NOT_FOUND";
  readonly status = 404;
}

export class ConflictError extends AppError {
  readonly code: "ALREADY_EXISTS" | "IN_USE";
  readonly status = 409;

  constructor(code: "ALREADY_EXISTS" | "IN_USE", message: string, details?: Record<string, unknown>) {
    super(message, details === undefined ? {} : { details });
    this.code = code;
  }
}

/** A body that cannot be read: too large, of another type, not JSON. */
export class BodyError extends AppError {
  readonly code: "BODY_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "MALFORMED_JSON";
  readonly status: number;

  constructor(code: BodyError["code"], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.status = { BODY_TOO_LARGE: 413, UNSUPPORTED_MEDIA_TYPE: 415, MALFORMED_JSON: 400 }[code];
  }
}

/** No credential, or one that is not good (any more). */
export class UnauthorizedError extends AppError {
  readonly code: "UNAUTHORIZED" | "TOKEN_INVALID" | "TOKEN_EXPIRED" | "TOKEN_EXHAUSTED" | "TOKEN_REVOKED";
  readonly status = 401;

  constructor(code: UnauthorizedError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A good credential that may not do this. */
export class ForbiddenError extends AppError {
  readonly code = "FORBIDDEN";
  readonly status = 403;
}

export class TooManyRequestsError extends AppError {
  readonly code = "TOO_MANY_REQUESTS";
  readonly status = 429;
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super(`too many requests; try again in ${retryAfterSeconds} s`, {
      details: { retry_after_seconds: retryAfterSeconds },
    });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The server cannot answer now: its store is away. */
export class UnavailableError extends AppError {
  readonly code = "UNAVAILABLE";
  readonly status = 503;
}
