/** How long to wait before trying again, in milliseconds. */
export interface Backoff {
  /** `retryAfterMs` is what the server asked for; it is obeyed up to the limit. */
  next(retryAfterMs?: number): number;
  reset(): void;
}

export interface BackoffOptions {
  readonly firstMs: number;
  readonly limitMs: number;
  readonly random?: () => number;
}

/** The longest that a Retry-After may keep a node away. */
const retryAfterLimitMs = 15 * 60_000;

/** Exponential with full jitter: a fleet that lost its server does not come back in step. */
export function createBackoff({ firstMs, limitMs, random = Math.random }: BackoffOptions): Backoff {
  let ceilingMs = firstMs;
  return {
    next(retryAfterMs = 0) {
      const jittered = firstMs / 2 + random() * (ceilingMs - firstMs / 2);
      ceilingMs = Math.min(limitMs, ceilingMs * 2);
      // Everybody was told the same number of seconds.
      const asked = Math.min(retryAfterLimitMs, retryAfterMs) * (1 + 0.2 * random());
      return Math.max(jittered, asked);
    },
    reset() {
      ceilingMs = firstMs;
    },
  };
}

/** Retry-After as seconds or as a date; undefined where it is neither. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,12}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
