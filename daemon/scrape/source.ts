import { type BackgroundCollector, NoDataError } from "../../collectors/collector.ts";
import type { Host } from "../../collectors/host.ts";
import type { JobOutcome } from "../../collectors/probe/jobs.ts";
import type { ProbePool } from "../../collectors/probe/pool.ts";
import type { CollectHeader, CollectParams } from "../../collectors/process.ts";
import { describeError } from "../../runtime/log.ts";
import { createFamilyBytes, emptyReading, type FamilyBytes, type Reading, toEnds } from "./reading.ts";

/** A reading, and what else came to light while it was taken. */
export interface SourceReading extends Reading {
  readonly skipped: number;
  /** Left-out readings that have not been told before, for the log. */
  readonly skippedNew: readonly string[];
  /** Of a timeout: other collectors took the time, this one was not even asked. */
  readonly notAsked?: boolean;
}

/** Where the readings of one collector come from. `read` never rejects and is never called while it runs. */
export interface CollectorSource {
  readonly name: string;
  read(deadlineMs: number): Promise<SourceReading>;
}

const nothingSkipped = { skipped: 0, skippedNew: [] };

/** A collector that runs in the collector process. */
export function createProbeSource(name: string, pool: ProbePool): CollectorSource {
  const job = `collect ${name}`;
  let known: NameList = { id: "", names: [] };
  const toFamilies = ({ namesId, names, lengths }: CollectHeader, payload: Uint8Array): FamilyBytes => {
    // Left out when they are the known ones.
    if (names !== undefined) known = { id: namesId, names };
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    return { names: known.names, ends: toEnds(lengths), bytes };
  };
  return {
    name,
    read: async (deadlineMs) => {
      const startedAt = performance.now();
      const params: CollectParams = { knownNamesId: known.id };
      const outcome = await pool.run(job, params, { deadlineMs });
      return toReading(outcome, (performance.now() - startedAt) / 1000, toFamilies);
    },
  };
}

interface NameList {
  readonly id: string;
  readonly names: readonly string[];
}

function toReading(
  outcome: JobOutcome,
  elapsedSeconds: number,
  toFamilies: (header: CollectHeader, payload: Uint8Array) => FamilyBytes,
): SourceReading {
  switch (outcome.status) {
    case "done": {
      const header = outcome.header as unknown as CollectHeader;
      const { state, durationSeconds, error, series, skipped, skippedNew = [] } = header;
      const families = toFamilies(header, outcome.payload);
      return { state, durationSeconds, error, families, series, skipped, skippedNew };
    }
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
  return {
    name: collector.name,
    read: async (deadlineMs) => {
      const startedAt = performance.now();
      const elapsed = (): number => (performance.now() - startedAt) / 1000;
      try {
        const detection = await collector.detect(host);
        if (!detection.supported) return { ...emptyReading("absent", elapsed(), detection.reason), ...nothingSkipped };
        const { series, ...families } = toBytes(
          await collector.collect(host, AbortSignal.timeout(Math.ceil(deadlineMs))),
        );
        return { state: "ok", durationSeconds: elapsed(), error: undefined, families, series, ...nothingSkipped };
      } catch (error) {
        const state = error instanceof NoDataError ? "absent" : "failed";
        return { ...emptyReading(state, elapsed(), String(describeError(error))), ...nothingSkipped };
      }
    },
  };
}
