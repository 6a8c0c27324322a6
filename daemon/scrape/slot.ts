import type { Logger } from "../../runtime/log.ts";
import { type CollectorState, emptyReading, type Reading } from "./reading.ts";
import type { CollectorSource, SourceReading } from "./source.ts";

/** One collector in the scrape engine: never runs twice at once, and is not waited for while it is known to hang. */
export interface Slot {
  readonly name: string;
  /**
   * Hands over the running or a new reading, perhaps at once. Says whether it is worth waiting for, which it is not of a
   * collector that did not answer last time: that one is tried in the background, and pages say "timeout" until a try has
   * come back in time.
   */
  read(take: TakeReading): boolean;
  /** The last reading if it is at most this old, else a new one, as `read` gives it. */
  recent(maxAgeMs: number, take: TakeReading): boolean;
  /** Left-out readings since the start. */
  skippedTotal(): number;
  status(): SlotStatus;
}

export type TakeReading = (reading: Reading) => void;

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

/** As many as a collector process remembers. */
const mostSkippedTold = 1000;

export function createSlot({ source, timeoutMs, log, now = () => performance.now() }: SlotOptions): Slot {
  const { name } = source;
  /** Who waits for the reading that is being taken. */
  let takers: TakeReading[] | undefined;
  let last: SourceReading | undefined;
  let lastAt = Number.NEGATIVE_INFINITY;
  let hangs = 0;
  let retryAt = 0;
  let absentUntil = 0;
  let slowRuns = 0;
  let skipped = 0;
  const skippedTold = new Set<string>();

  const join = (take: TakeReading): void => {
    if (takers === undefined) start([take]);
    else takers.push(take);
  };

  const start = (first: TakeReading[]): void => {
    takers = first;
    source.read(timeoutMs, (result) => {
      takers = undefined;
      note(result, now());
      for (const take of first) take(result);
    });
  };

  const note = (result: SourceReading, at: number): void => {
    skipped += result.skipped;
    tellSkipped(result.skippedNew);
    absentUntil = result.state === "absent" ? at + absentMs : 0;
    if (result.state === "timeout" && result.notAsked !== true) {
      retryAt = at + Math.min(retryMs.first * 2 ** hangs, retryMs.most);
      hangs++;
    } else {
      hangs = 0;
    }
    noteSpeed(result);
    logChange(last, result);
    last = result;
    lastAt = at;
  };

  // A collector process tells each once in its life; this collector may have had others before.
  const tellSkipped = (readings: readonly string[]): void => {
    const fresh = readings.filter((reading) => !skippedTold.has(reading));
    if (fresh.length === 0 || skippedTold.size >= mostSkippedTold) return;
    for (const reading of fresh) skippedTold.add(reading);
    log.warn("collector leaves out what it cannot read", { collector: name, skipped: fresh });
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
    if (slowRuns < slowRunsEnough || last === undefined) return undefined;
    const ageMs = now() - lastAt;
    return ageMs > handedOnMs ? undefined : { ...last, ageSeconds: ageMs / 1000 };
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

  const read: Slot["read"] = (take) => {
    if (last?.state === "absent" && now() < absentUntil) {
      take(last);
      return true;
    }
    if (hangs > 0) {
      if (takers !== undefined || now() >= retryAt) join(take);
      else take(emptyReading("timeout", 0, last?.error));
      return false;
    }
    const before = handedOn();
    if (before === undefined) {
      join(take);
    } else {
      take(before);
      if (takers === undefined) start([]);
    }
    return true;
  };

  return {
    name,
    read,
    recent: (maxAgeMs, take) => {
      if (last === undefined || hangs > 0 || now() - lastAt > maxAgeMs) return read(take);
      take(last);
      return true;
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
