export interface Throttle {
  /** Whether one more of this kind may pass at this time. */
  admits(kind: string, atSeconds: number): boolean;
}

export interface ThrottleOptions {
  /** So many pass at once. */
  readonly burst: number;
  /** After that, one in so many seconds. */
  readonly refillSeconds: number;
}

/** Kinds are named by the lines of the log, so there may be any number of them. */
const maxKinds = 2000;

/** A token bucket for each kind. Times are those of the records, so that a history is thinned like what comes live. */
export function createThrottle({ burst, refillSeconds }: ThrottleOptions): Throttle {
  const buckets = new Map<string, { tokens: number; atSeconds: number }>();
  return {
    admits: (kind, atSeconds) => {
      const bucket = buckets.get(kind) ?? { tokens: burst, atSeconds };
      const refilled = Math.max(0, atSeconds - bucket.atSeconds) / refillSeconds;
      const tokens = Math.min(burst, bucket.tokens + refilled);
      const admitted = tokens >= 1;
      buckets.delete(kind);
      buckets.set(kind, { tokens: admitted ? tokens - 1 : tokens, atSeconds });
      if (buckets.size > maxKinds)
        for (const oldest of [...buckets.keys()].slice(0, maxKinds / 2)) buckets.delete(oldest);
      return admitted;
    },
  };
}
