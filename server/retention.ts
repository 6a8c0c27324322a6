import type { Logger } from "../runtime/log.ts";
import type { Store } from "./store/store.ts";

const dayMs = 24 * 3600 * 1000;
/** A long backlog must not keep the only writer of SQLite busy. */
const rowsAtOnce = 5000;

/** Removes audit rows that are older than they have to be; now, and every hour. */
export interface Retention {
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

export interface RetentionOptions {
  readonly store: Pick<Store, "audit">;
  readonly log: Logger;
  readonly now: () => number;
  readonly keepDays: number;
}

export function startRetention({ store, log, now, keepDays }: RetentionOptions): Retention {
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  const remove = async () => {
    let removed = 0;
    for (let rows = rowsAtOnce; rows === rowsAtOnce && !isStopped; removed += rows)
      rows = await store.audit.removeBefore(now() - keepDays * dayMs, rowsAtOnce);
    if (removed > 0) log.info("removed old audit rows", { rows: removed, keep_days: keepDays });
  };
  const sweep = () => {
    running = running.then(remove).catch((error: unknown) => log.error("cannot remove old audit rows", { error }));
    return running;
  };
  void sweep();
  const timer = setInterval(() => void sweep(), 3_600_000);
  timer.unref();
  return {
    sweep,
    stop: async () => {
      isStopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
