import type { CheckResult } from "../../checks/check.ts";
import type { Logger } from "../../runtime/log.ts";
import type { NodeState, StoredResult } from "./state.ts";

/** The last result of every check, on disk, so that a restarted daemon shows what it knew and how old that is. */
export interface ResultStore {
  /** What was stored before this start. */
  readonly restored: readonly CheckResult[];
  /** Written a little later, together with others. */
  put(result: CheckResult): void;
  /** Forgets the results of all other checks. */
  retain(checks: ReadonlySet<string>): void;
  /** Writes what is waiting. */
  flush(): void;
}

export interface ResultStoreOptions {
  readonly state: Pick<NodeState, "results" | "saveResults">;
  readonly log: Logger;
  /** Calls `work` once, after a while; tests call it themselves. */
  readonly later?: (work: () => void) => void;
}

const flushAfterMs = 5000;

export function createResultStore({ state, log, later = afterFiveSeconds }: ResultStoreOptions): ResultStore {
  const stored = state.results();
  const known = new Set(stored.map(({ checkKey }) => checkKey));
  const changed = new Map<string, StoredResult>();
  const removed = new Set<string>();
  let isScheduled = false;
  let isFailing = false;

  const flush = () => {
    isScheduled = false;
    if (changed.size === 0 && removed.size === 0) return;
    try {
      state.saveResults([...changed.values()], [...removed]);
      changed.clear();
      removed.clear();
      isFailing = false;
    } catch (error) {
      // Kept in memory and tried with the next result; a full disk is no reason to stop checking.
      if (!isFailing) log.error("cannot store check results", { error });
      isFailing = true;
    }
  };

  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    later(flush);
  };

  return {
    restored: stored.flatMap(({ result, checkKey }) => parseResult(result, checkKey, log)),
    put: (result) => {
      known.add(result.check);
      removed.delete(result.check);
      changed.set(result.check, { checkKey: result.check, finishedAt: finishedAt(result), result: encode(result) });
      schedule();
    },
    retain: (checks) => {
      for (const name of known) {
        if (checks.has(name)) continue;
        known.delete(name);
        changed.delete(name);
        removed.add(name);
      }
      if (removed.size > 0) schedule();
    },
    flush,
  };
}

function afterFiveSeconds(work: () => void): void {
  setTimeout(work, flushAfterMs).unref();
}

function finishedAt({ startedAt, durationSeconds }: CheckResult): number {
  return Math.round(Date.parse(startedAt) + durationSeconds * 1000);
}

const notJson = /^(?:NaN|-?Infinity|-0)$/;

// JSON has no NaN, no infinities and no negative zero, and a metric may be any of them.
function encode(result: CheckResult): string {
  return JSON.stringify(result, (_key, value: unknown) => {
    if (typeof value !== "number") return value;
    const text = Object.is(value, -0) ? "-0" : String(value);
    return notJson.test(text) ? { number: text } : value;
  });
}

function parseResult(text: string, check: string, log: Logger): CheckResult[] {
  try {
    return [
      JSON.parse(text, (_key, value: unknown) => {
        const { number, ...rest } = (value ?? {}) as { number?: unknown };
        const isEncoded = typeof number === "string" && notJson.test(number) && Object.keys(rest).length === 0;
        return isEncoded ? Number(number) : value;
      }) as CheckResult,
    ];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    log.warn("stored check result is not readable", { check, error });
    return [];
  }
}
