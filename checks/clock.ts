/** Time as the schedule sees it; tests pass one that they move by hand. */
export interface Clock {
  /** Never jumps: intervals and ages are measured with it. */
  monotonicSeconds(): number;
  /** The wall clock, for cron patterns and timestamps. */
  now(): Date;
  /** Calls `work` once after a while; the result cancels it. */
  after(seconds: number, work: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicSeconds: () => performance.now() / 1000,
  now: () => new Date(),
  after: (seconds, work) => {
    const timer = setTimeout(work, seconds * 1000);
    return () => clearTimeout(timer);
  },
};
