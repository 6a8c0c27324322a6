import type { Clock } from "../../checks/clock.ts";

export interface FakeClock extends Clock {
  /** Lets time pass, timer by timer, with everything they set off. */
  advance(seconds: number): Promise<void>;
  /** Time passes without any timer, as on a machine that is suspended or too busy. */
  sleep(seconds: number): void;
  /** Sets the wall clock without time passing. */
  setWallClock(date: string): void;
}

export function createFakeClock(start = "2026-11-20T10:00:30Z"): FakeClock {
  let monotonic = 1000;
  let wall = Date.parse(start);
  const timers = new Map<symbol, { at: number; work: () => void }>();
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    monotonicSeconds: () => monotonic,
    now: () => new Date(wall),
    after: (seconds, work) => {
      const id = Symbol();
      timers.set(id, { at: monotonic + seconds, work });
      return () => void timers.delete(id);
    },
    sleep: (seconds) => {
      wall += seconds * 1000;
      monotonic += seconds;
    },
    setWallClock: (date) => {
      wall = Date.parse(date);
    },
    advance: async (seconds) => {
      const end = monotonic + seconds;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
        const until = next === undefined ? end : Math.max(monotonic, next[1].at);
        wall += (until - monotonic) * 1000;
        monotonic = until;
        if (next === undefined) return;
        timers.delete(next[0]);
        next[1].work();
        await settle();
      }
    },
  };
}
