import type { Logger } from "../runtime/log.ts";
import type { Store, Tables } from "./store/store.ts";

/**
 * The counter that every change of policies, groups or memberships raises. Waiting polls wake when it moves, whether
 * this server moved it or another one on the same database.
 */
export interface Revisions {
  current(): number;
  /** Runs a change and raises the revision in the same transaction. */
  change<T>(work: (tx: Tables) => Promise<T>): Promise<T>;
  /** Resolves at the next change, or when the signal ends the wait. */
  changed(signal: AbortSignal): Promise<void>;
  stop(): void;
}

export async function watchRevisions(store: Store, log: Logger, intervalMs = 500): Promise<Revisions> {
  let current = await store.settings.counter("revision");
  // One entry for each wait, taken out when it ends: reactions on a promise of the next change would stay for as long as
  // nothing changes, and a fleet of polls adds hundreds a second.
  const waiting = new Set<() => void>();

  const advance = (revision: number) => {
    if (revision <= current) return;
    current = revision;
    for (const wake of [...waiting]) wake();
  };
  const timer = setInterval(async () => {
    try {
      advance(await store.settings.counter("revision"));
    } catch (error) {
      log.error("cannot read the revision", { error });
    }
  }, intervalMs);
  timer.unref();

  return {
    current: () => current,
    changed: (signal) =>
      new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        if (signal.aborted) return resolve();
        signal.addEventListener("abort", wake);
        waiting.add(wake);
      }),
    change: async (work) => {
      const { result, revision } = await store.transaction(async (tx) => ({
        result: await work(tx),
        revision: await tx.settings.next("revision"),
      }));
      advance(revision);
      return result;
    },
    stop: () => clearInterval(timer),
  };
}
