/** A token bucket: one request per interval on average, `burst` at once. */
export interface RateLimit {
  /** False: the request has to be refused with 429. */
  admit(): boolean;
}

export function createRateLimit(
  { intervalSeconds, burst }: { intervalSeconds: number; burst: number },
  now: () => number = () => performance.now() / 1000,
): RateLimit {
  if (intervalSeconds === 0) return { admit: () => true };
  let tokens = burst;
  let filledAt = now();
  return {
    admit: () => {
      const time = now();
      tokens = Math.min(burst, tokens + (time - filledAt) / intervalSeconds);
      filledAt = time;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

const units: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ns: 1e-9,
};

/** Go's duration text ("1s", "1m30s", "0"); undefined when it is none. Seconds. */
export function parseGoDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^\+?((\d+(\.\d*)?|\.\d+)(h|m|s|ms|us|[µμ]s|ns))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(h|ms|us|[µμ]s|ns|m|s)/g)) {
    seconds += Number(amount) * (units[unit ?? ""] ?? Number.NaN);
  }
  return seconds;
}
