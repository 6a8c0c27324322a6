import { TooManyRequestsError } from "../../protocol/errors.ts";

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface RateLimit {
  /** Takes one from the bucket of this key, or throws TooManyRequestsError. */
  take(key: string): void;
  /** Throws when the bucket is empty, but takes nothing. */
  check(key: string): void;
}

const maxKeys = 50_000;

/** A token bucket per key (an address), in memory. */
export function createRateLimit({ perSecond, burst }: Rate, now: () => number): RateLimit {
  const buckets = new Map<string, { level: number; atMs: number }>();
  const refill = (key: string) => {
    const atMs = now();
    const bucket = buckets.get(key) ?? { level: burst, atMs };
    // A clock that was set back has not taken anything out of the bucket.
    bucket.level = Math.min(burst, bucket.level + (Math.max(0, atMs - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = atMs;
    if (bucket.level < 1) throw new TooManyRequestsError(Math.ceil((1 - bucket.level) / perSecond));
    return bucket;
  };
  return {
    check: (key) => {
      if (buckets.has(key)) refill(key);
    },
    take: (key) => {
      const bucket = refill(key);
      bucket.level -= 1;
      if (buckets.size >= maxKeys) buckets.delete(buckets.keys().next().value ?? "");
      buckets.set(key, bucket);
    },
  };
}
