import { type BackgroundCollector, NoDataError } from "../../collectors/collector.ts";
import type { Host } from "../../collectors/host.ts";
import type { JobOutcome } from "../../collectors/probe/jobs.ts";
import type { ProbePool } from "../../collectors/probe/pool.ts";
import type { CollectHeader, CollectParams } from "../../collectors/process.ts";
import { describeError } from "../../runtime/log.ts";
import { createFamilyBytes, emptyReading, type Reading, toEnds } from "./reading.ts";

/** A reading, and what else came to light while it was taken. */
export interface SourceReading extends Reading {
  readonly skipped: number;
  /** Left-out readings that have not been told before, for the log. */
  readonly skippedNew: readonly string[];
  /** Of a timeout: other collectors took the time, this one was not even asked. */
  readonly notAsked?: boolean;
}

/** Where the readings of one collector come from. */
export interface CollectorSource {
  readonly name: string;
  /** Calls `take` once, whatever becomes of the reading. Never asked again before that. */
  read(deadlineMs: number, take: (reading: SourceReading) => void): void;
}

const noneSkipped: readonly string[] = [];
const nothingSkipped = { skipped: 0, skippedNew: noneSkipped };

/** A collector that runs in the collector process. */
export function createProbeSource(name: string, pool: ProbePool): CollectorSource {
  const job = `collect ${name}`;
  let params: CollectParams = { knownNamesId: "" };
  let knownNames: readonly string[] = [];
  const toReading = (header: CollectHeader, payload: Uint8Array): SourceReading => {
    const { state, durationSeconds, error, series, skipped, skippedNew = noneSkipped, names, lengths } = header;
    // Left out when they are the known ones.
    if (names !== undefined) {
      params = { knownNamesId: header.namesId };
      knownNames = names;
    }
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    const families = { names: knownNames, ends: toEnds(lengths), bytes };
    return { state, durationSeconds, error, families, series, skipped, skippedNew };
  };
  return {
    name,
    read: (deadlineMs, take) => {
      const startedAt = performance.now();
      pool.ask(job, params, { deadlineMs }, (outcome) => {
        if (outcome.status === "done") take(toReading(outcome.header as unknown as CollectHeader, outcome.payload));
        else take(toFailure(outcome, (performance.now() - startedAt) / 1000));
      });
    },
  };
}

function toFailure(outcome: Exclude<JobOutcome, { status: "done" }>, elapsedSeconds: number): SourceReading {
  switch (outcome.status) {
    case "failed":
      return { ...emptyReading("failed", elapsedSeconds, outcome.error), ...nothingSkipped };
    case "timeout": {
      const reading = emptyReading("timeout", elapsedSeconds, `no answer in time (${outcome.step})`);
      return { ...reading, ...nothingSkipped, notAsked: !outcome.begun };
    }
    case "stuck": {
      const { pid, wchan, step, sinceMs } = outcome;
      const where = wchan === undefined ? "" : ` in ${wchan}`;
      const reason = `stuck for ${Math.round(sinceMs / 1000)} s (${step}, process ${pid}${where})`;
      return { ...emptyReading("timeout", elapsedSeconds, reason), ...nothingSkipped };
    }
  }
}

/** A collector that runs in this process and has its values in memory. */
export function createBackgroundSource(collector: BackgroundCollector, host: Host): CollectorSource {
  const toBytes = createFamilyBytes();
  const collect = async (deadlineMs: number): Promise<SourceReading> => {
    const startedAt = performance.now();
    const elapsed = (): number => (performance.now() - startedAt) / 1000;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error("deadline reached")), deadlineMs);
    try {
      const detection = await collector.detect(host);
      if (!detection.supported) return { ...emptyReading("absent", elapsed(), detection.reason), ...nothingSkipped };
      const { series, ...families } = toBytes(await collector.collect(host, controller.signal));
      return { state: "ok", durationSeconds: elapsed(), error: undefined, families, series, ...nothingSkipped };
    } catch (error) {
      const state = error instanceof NoDataError ? "absent" : "failed";
      return { ...emptyReading(state, elapsed(), String(describeError(error))), ...nothingSkipped };
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    name: collector.name,
    read: (deadlineMs, take) => void collect(deadlineMs).then(take),
  };
}
