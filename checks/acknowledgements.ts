import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "./verdict.ts";

/** An operator has dealt with what a check had found about one subject. Plain JSON, kept in the state of the node. */
const Acknowledgement = t.Object({
  check: t.String(),
  /** As in the finding; empty for the node as a whole. */
  subject: t.String(),
  /** What happened up to this time is dealt with, in milliseconds since 1970; what happens later is a finding again. */
  untilMs: t.Number(),
  atMs: t.Number(),
  by: t.String(),
  note: t.String(),
});
export type Acknowledgement = Readonly<{
  check: string;
  subject: string;
  untilMs: number;
  atMs: number;
  by: string;
  note: string;
}>;

/** Where they outlive the daemon: the log of events of the node. */
export interface TextStorage {
  saved(name: string): string | undefined;
  save(name: string, text: string): void;
}

export interface Acknowledgements {
  /** The newest first. */
  list(): readonly Acknowledgement[];
  /** Milliseconds since 1970; 0 when nothing of this subject was ever acknowledged. */
  untilMs(check: string, subject: string): number;
  /** One for each subject; a newer one takes the place of the one before. */
  add(acknowledged: readonly Acknowledgement[]): void;
  /** Takes back; all of a check without a subject. Says how many there were. */
  remove(check: string, subject: string | undefined): number;
}

const savedAs = "acknowledgements";
const mostKept = 500;
/** The times of kernel messages are reckoned from the time of boot, which a set clock moves a little. */
const toleranceMs = 2000;

export function createAcknowledgements(storage: TextStorage): Acknowledgements {
  let all = restore(storage.saved(savedAs));
  const replace = (next: readonly Acknowledgement[]): void => {
    all = next.slice(0, mostKept);
    storage.save(savedAs, JSON.stringify(all));
  };
  return {
    list: () => all,
    untilMs: (check, subject) => {
      const found = all.find((each) => each.check === check && each.subject === subject);
      return found === undefined ? 0 : found.untilMs + toleranceMs;
    },
    add: (acknowledged) => {
      const isReplaced = (old: Acknowledgement): boolean =>
        acknowledged.some(({ check, subject }) => old.check === check && old.subject === subject);
      replace([...acknowledged, ...all.filter((old) => !isReplaced(old))]);
    },
    remove: (check, subject) => {
      const kept = all.filter((each) => each.check !== check || (subject !== undefined && each.subject !== subject));
      const removed = all.length - kept.length;
      if (removed > 0) replace(kept);
      return removed;
    },
  };
}

function restore(text: string | undefined): readonly Acknowledgement[] {
  if (text === undefined) return [];
  try {
    const stored: unknown = JSON.parse(text);
    return Value.Check(t.Array(Acknowledgement), stored) ? stored : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Whether the finding tells of something that happened, and not after it was acknowledged. */
export function isAcknowledged({ at }: Finding, untilMs: number): boolean {
  return at !== undefined && Date.parse(at) <= untilMs;
}
