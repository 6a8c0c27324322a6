import type { Logger } from "../../runtime/log.ts";
import { type CollectorState, emptyReading, type Reading } from "./reading.ts";
import type { CollectorSource, SourceReading } from "./source.ts";

/** One collector in the scrape engine: never runs twice at once, and is not waited for while it is known to hang. */
export interface Slot {
  readonly name: string;
  /**
   * The running or a new reading. `worthWaiting` is false for a collector that did not answer last time: it is tried
   * in the background, and pages say "timeout" until a try has come back in time.
   */
  read(): { readonly reading: Promise<Reading>; readonly worthWaiting: boolean };
  /** The last reading if it is at most this old, else a new one, as `read` gives it. */
  recent(maxAgeMs: number): { readonly reading: Promise<Reading>; readonly worthWaiting: boolean };
  /** Left-out readings since the start. */
  skippedTotal(): number;
  status(): SlotStatus;
}

export interface SlotStatus {
  /** Undefined before the first reading. */
  readonly state: CollectorState | undefined;
  readonly durationSeconds: number;
  readonly series: number;
  readonly error: string | undefined;
  readonly skippedTotal: number;
}

export interface SlotOptions {
  readonly source: CollectorSource;
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Between tries of a collector that hangs; each try may cost a process. */
const retryMs = { first: 5_000, most: 60_000 };

/**
 * Pages do not wait for a collector that took longer than this twice in a row: each has the reading of the scrape before
 * and says its age, and starts the next one.
 */
const slowSeconds = 0.5;
const slowRunsEnough = 2;
/** An older reading is not handed on; the page waits for a new one. */
const handedOnMs = 90_000;

/**
 * Hardware that is not there is looked for once a minute, not at every scrape: of the fifty collectors a machine lacks
 * the source of twenty or more. No value is kept by this, for there is none.
 */
const absentMs = 60_000;

export function createSlot({ source, timeoutMs, log, now = () => performance.now() }: SlotOptions): Slot {
  const { name } = source;
  let running: Promise<Reading> | undefined;
  let last: SourceReading | undefined;
  let lastAt = Number.NEGATIVE_INFINITY;
  let hangs = 0;
  let retryAt = 0;
  let absentUntil = 0;
  let slowRuns = 0;
  let skipped = 0;

  const start = (): Promise<Reading> => {
    const reading = source.read(timeoutMs).then((result) => {
      running = undefined;
      note(result);
      return result;
    });
    running = reading;
    return reading;
  };

  const note = (result: SourceReading): void => {
    skipped += result.skipped;
    if (result.skippedNew.length > 0) {
      log.warn("collector leaves out what it cannot read", { collector: name, skipped: result.skippedNew });
    }
    absentUntil = result.state === "absent" ? now() + absentMs : 0;
    if (result.state === "timeout" && result.notAsked !== true) {
      retryAt = now() + Math.min(retryMs.first * 2 ** hangs, retryMs.most);
      hangs++;
    } else {
      hangs = 0;
    }
    noteSpeed(result);
    logChange(last, result);
    last = result;
    lastAt = now();
  };

  const noteSpeed = ({ state, durationSeconds: duration_seconds }: SourceReading): void => {
    const before = slowRuns;
    slowRuns = state === "ok" && duration_seconds > slowSeconds ? slowRuns + 1 : 0;
    const facts = { collector: name, duration_seconds };
    if (slowRuns === slowRunsEnough) log.warn("collector is slow, pages have its reading of the scrape before", facts);
    else if (slowRuns === 0 && before >= slowRunsEnough && state === "ok") log.info("collector is quick again", facts);
  };

  /** The reading of the scrape before, of a collector that is not worth waiting for. */
  const handedOn = (): Reading | undefined => {
    const ageMs = now() - lastAt;
    if (slowRuns < slowRunsEnough || last === undefined || ageMs > handedOnMs) return undefined;
    return { ...last, ageSeconds: ageMs / 1000 };
  };

  // Told once, when it begins and when it ends: a scrape comes every few seconds.
  const logChange = (before: SourceReading | undefined, { state, error }: SourceReading): void => {
    const wasGood = before === undefined || before.state === "ok" || before.state === "absent";
    if (state === "ok" || state === "absent") {
      if (!wasGood) log.info("collector works again", { collector: name, state });
      else if (state === "absent" && before?.state !== state)
        log.debug("collector has no source", { collector: name, error });
    } else if (before?.state !== state || (state === "failed" && before.error !== error)) {
      log.warn(state === "timeout" ? "collector does not answer" : "collector failed", { collector: name, error });
    }
  };

  const read: Slot["read"] = () => {
    if (last?.state === "absent" && now() < absentUntil) {
      return { reading: Promise.resolve(last), worthWaiting: true };
    }
    if (hangs === 0) {
      const before = handedOn();
      const next = running ?? start();
      return { reading: before === undefined ? next : Promise.resolve(before), worthWaiting: true };
    }
    if (running !== undefined || now() >= retryAt) return { reading: running ?? start(), worthWaiting: false };
    return { reading: Promise.resolve(emptyReading("timeout", 0, last?.error)), worthWaiting: false };
  };

  return {
    name,
    read,
    recent: (maxAgeMs) => {
      const isRecent = last !== undefined && hangs === 0 && now() - lastAt <= maxAgeMs;
      return isRecent ? { reading: Promise.resolve(last as Reading), worthWaiting: true } : read();
    },
    skippedTotal: () => skipped,
    status: () => ({
      state: last?.state,
      durationSeconds: last?.durationSeconds ?? 0,
      series: last?.series ?? 0,
      error: last?.error,
      skippedTotal: skipped,
    }),
  };
}
