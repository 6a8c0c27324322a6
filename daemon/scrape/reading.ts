import { createPageEncoder } from "../../collectors/encoded-families.ts";
import type { MetricFamily } from "../../collectors/collector.ts";

export const collectorStates = ["ok", "absent", "failed", "timeout"] as const;
export type CollectorState = (typeof collectorStates)[number];

/** Families as they go onto the page, one after the other, sorted by name. Stays bytes: nothing decodes it on the way. */
export interface FamilyBytes {
  /** The same array as before while the names are: their place on the page is not looked for at each scrape. */
  readonly names: readonly string[];
  /** Where each family, HELP and TYPE lines included, ends in `bytes`. */
  readonly ends: readonly number[];
  readonly bytes: Buffer;
}

export const noFamilies: FamilyBytes = { names: [], ends: [], bytes: Buffer.alloc(0) };

/** What one run of a collector gave. */
export interface Reading {
  readonly state: CollectorState;
  readonly durationSeconds: number;
  /** Why the state is not "ok". */
  readonly error: string | undefined;
  readonly families: FamilyBytes;
  readonly series: number;
  /** Of a reading that was not taken for this page. */
  readonly ageSeconds?: number;
}

export function emptyReading(state: CollectorState, durationSeconds: number, error: string | undefined): Reading {
  return { state, durationSeconds, error, families: noFamilies, series: 0 };
}

/** Something that has its families in memory: check results, synchronisation, the daemon's own counters. */
export interface PageSource {
  /** The same array as before says that nothing has changed since. */
  families(): readonly MetricFamily[] | Promise<readonly MetricFamily[]>;
}

/** Where the families end whose lengths these are. */
export function toEnds(lengths: readonly number[]): number[] {
  let end = 0;
  return lengths.map((length) => (end += length));
}

/** For a source whose families are in memory, scrape after scrape; the same array as before is not encoded again. */
export function createFamilyBytes(): (families: readonly MetricFamily[]) => FamilyBytes & { readonly series: number } {
  const encode = createPageEncoder();
  let known: readonly MetricFamily[] | undefined;
  let encoded = { ...noFamilies, series: 0 };
  return (families) => {
    if (families === known) return encoded;
    const { names, lengths, text, series } = encode(families);
    known = families;
    encoded = { names, ends: toEnds(lengths), bytes: Buffer.from(text), series };
    return encoded;
  };
}
