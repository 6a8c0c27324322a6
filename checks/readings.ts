import type { Sample } from "../collectors/collector.ts";

/** What the collectors of this node see, for builtin checks. The daemon is behind it, or a test. */
export interface Readings {
  /**
   * A reading that was taken just now or a few seconds ago; of a collector that is too slow to be waited for one that
   * is at most two minutes old. Never rejects.
   */
  read(collector: string): Promise<CollectorReading>;
}

export type CollectorReading =
  | {
      readonly state: "ok";
      /** The series of one family; empty when the source gave none. */
      samples(family: string): readonly Sample[];
    }
  /** No such hardware, or the collector is switched off. */
  | { readonly state: "absent"; readonly reason: string }
  /** It should have answered and did not: nothing is known. */
  | { readonly state: "failed"; readonly reason: string };
