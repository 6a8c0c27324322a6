import { AppError } from "../../protocol/errors.ts";
import { parseRetryAfter } from "./backoff.ts";

/** The part of `fetch` that is used, so that tests can pass their own. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export interface TransportOptions {
  readonly baseUrl: string;
  readonly fetch: Fetch;
  readonly now: () => number;
  /** PEM of the certificate authority, instead of the system's. */
  readonly ca?: string;
}

export interface TransportRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  /** For the whole exchange: a body that trickles in does not outlive it. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export type TransportFault = "unreachable" | "timeout" | "too_large";

/** The server gave no usable answer. */
export class TransportError extends AppError {
  override readonly code: TransportFault;
  readonly status = 503;

  constructor(code: TransportFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The server said no. `code` is its error code, or HTTP_<status> where the answer has none. */
export class RefusedError extends AppError {
  override readonly code: string;
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(answer: {
    status: number;
    code: string;
    message: string;
    retryAfterMs: number | undefined;
    details?: Record<string, unknown>;
  }) {
    super(answer.message, answer.details === undefined ? {} : { details: answer.details });
    this.code = answer.code;
    this.status = answer.status;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

export interface Transport {
  /** Rejects with TransportError; with the signal's reason when that ended it. Any HTTP status is an answer. */
  request(request: TransportRequest): Promise<Answer>;
  /** The server's clock less ours, from its last answer. */
  readonly clockSkewMs: number | undefined;
  /** After a refusal for the difference of clocks, which says what the server's is; a proxy may set its own Date. */
  correctClock(refusal: RefusedError): void;
}

export function createTransport({ baseUrl, fetch, now, ca }: TransportOptions): Transport {
  let clockSkewMs: number | undefined;
  const base = baseUrl.replace(/\/$/, "");

  const exchange = async (request: TransportRequest, signal: AbortSignal): Promise<Answer> => {
    const { method, path, headers, body, maxBytes } = request;
    const response = await fetch(base + path, {
      method,
      signal,
      // Signed bytes need no help, but credentials must not follow a redirect; and a compressed answer could be a bomb.
      redirect: "error",
      decompress: false,
      headers: { "accept-encoding": "identity", ...headers },
      ...(body !== undefined && { body }),
      ...(ca !== undefined && { tls: { ca } }),
    });
    const serverDate = Date.parse(response.headers.get("date") ?? "");
    // The header has whole seconds; half of one is the unbiased guess.
    if (!Number.isNaN(serverDate)) clockSkewMs = serverDate + 500 - now();
    return { status: response.status, headers: response.headers, bytes: await readLimited(response, maxBytes) };
  };

  return {
    get clockSkewMs() {
      return clockSkewMs;
    },
    correctClock({ details }) {
      const serverTime = Date.parse(String(details?.["server_time"]));
      if (!Number.isNaN(serverTime)) clockSkewMs = serverTime - now();
    },
    async request(request) {
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), request.deadlineMs);
      const signal = AbortSignal.any([request.signal, deadline.signal]);
      try {
        return await exchange(request, signal);
      } catch (error) {
        if (error instanceof TransportError) throw error;
        request.signal.throwIfAborted();
        if (deadline.signal.aborted) {
          throw new TransportError("timeout", `no complete answer within ${request.deadlineMs / 1000} seconds`, error);
        }
        throw new TransportError("unreachable", "cannot reach the control server", error);
      } finally {
        clearTimeout(timer);
        deadline.abort();
      }
    },
  };
}

async function readLimited(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw new TransportError("too_large", `the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** For an answer that is not what was asked for. */
export function toRefusal({ status, headers, bytes }: Answer, nowMs: number): RefusedError {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), nowMs);
  const { code, message, details } = parseErrorBody(bytes);
  return new RefusedError({
    status,
    retryAfterMs,
    code: code ?? `HTTP_${status}`,
    message: message ?? `the control server answered ${status}`,
    ...(details !== undefined && { details }),
  });
}

interface ErrorFields {
  readonly code?: string;
  readonly message?: string;
  readonly details?: Record<string, unknown>;
}

// Anything may answer in the server's place (a proxy, a portal): what is not our error body is told by its status.
function parseErrorBody(bytes: Uint8Array): ErrorFields {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes.subarray(0, 65536)));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
  const { code, message, details } = (body as { error?: Record<string, unknown> } | null)?.error ?? {};
  return {
    ...(typeof code === "string" && /^[A-Za-z0-9_]{1,64}$/.test(code) && { code }),
    ...(typeof message === "string" && { message: message.slice(0, 500) }),
    ...(typeof details === "object" && details !== null && { details: details as Record<string, unknown> }),
  };
}
