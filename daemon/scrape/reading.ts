import { encodeFamilies } from "../../collectors/exposition.ts";
import type { MetricFamily } from "../../collectors/collector.ts";

export const collectorStates = ["ok", "absent", "failed", "timeout"] as const;
export type CollectorState = (typeof collectorStates)[number];

/** One family as it goes onto the page, HELP and TYPE lines included. Stays bytes: nothing decodes it on the way. */
export interface FamilyBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What one run of a collector gave. */
export interface Reading {
  readonly state: CollectorState;
  readonly durationSeconds: number;
  /** Why the state is not "ok". */
  readonly error: string | undefined;
  readonly families: readonly FamilyBytes[];
  readonly series: number;
  /** Of a reading that was not taken for this page. */
  readonly ageSeconds?: number;
}

export function emptyReading(state: CollectorState, durationSeconds: number, error: string | undefined): Reading {
  return { state, durationSeconds, error, families: [], series: 0 };
}

/** Something that has its families in memory: check results, synchronisation, the daemon's own counters. */
export interface PageSource {
  families(): readonly MetricFamily[] | Promise<readonly MetricFamily[]>;
}

export function toFamilyBytes(families: readonly MetricFamily[]): FamilyBytes[] {
  return encodeFamilies(families).map(({ name, text }) => ({ name, bytes: Buffer.from(text, "utf8") }));
}
