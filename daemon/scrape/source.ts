import { type BackgroundCollector, NoDataError } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";
import type { JobOutcome, ProbePool } from "../../collectors/probe/pool.ts";
import type { CollectHeader } from "../../collectors/process.ts";
import { describeError } from "../../runtime/log.ts";
import { emptyReading, type FamilyBytes, type Reading } from "./reading.ts";

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
  return {
    name,
    read: async (deadlineMs) => {
      const startedAt = performance.now();
      const outcome = await pool.run(job, null, { deadlineMs });
      return toReading(outcome, (performance.now() - startedAt) / 1000);
    },
  };
}

function toReading(outcome: JobOutcome, elapsedSeconds: number): SourceReading {
  switch (outcome.status) {
    case "done": {
      const { error, ...header } = outcome.header as unknown as CollectHeader;
      return { ...header, error, families: split(header.families, outcome.payload) };
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

function split(families: CollectHeader["families"], payload: Uint8Array): FamilyBytes[] {
  let at = 0;
  return families.map(([name, length]) => ({ name, bytes: payload.subarray(at, (at += length)) }));
}

/** A collector that runs in this process and has its values in memory. */
export function createBackgroundSource(collector: BackgroundCollector, host: Host): CollectorSource {
  return {
    name: collector.name,
    read: async (deadlineMs) => {
      const startedAt = performance.now();
      const elapsed = (): number => (performance.now() - startedAt) / 1000;
      try {
        const detection = await collector.detect(host);
        if (!detection.supported) return { ...emptyReading("absent", elapsed(), detection.reason), ...nothingSkipped };
        const encoded = encodeFamilies(await collector.collect(host, AbortSignal.timeout(Math.ceil(deadlineMs))));
        const families = encoded.map(({ name, text }) => ({ name, bytes: Buffer.from(text, "utf8") }));
        const series = encoded.reduce((sum, { text }) => sum + countSeries(text), 0);
        return { state: "ok", durationSeconds: elapsed(), error: undefined, families, series, ...nothingSkipped };
      } catch (error) {
        const state = error instanceof NoDataError ? "absent" : "failed";
        return { ...emptyReading(state, elapsed(), String(describeError(error))), ...nothingSkipped };
      }
    },
  };
}

/** A line each, less HELP and TYPE. */
function countSeries(text: string): number {
  let lines = -2;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
