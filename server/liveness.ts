import type { Logger } from "../runtime/log.ts";
import type { Heartbeat } from "./store/targets.ts";
import type { Store } from "./store/store.ts";

/** Heartbeats are collected and written in batches: a node costs one small write a minute, not one per request. */
export interface Liveness {
  seen(targetId: string, appliedRevision?: string): void;
  /** Writes what is pending and marks silent nodes as down. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface LivenessOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly now: () => number;
  readonly flushIntervalMs: number;
  readonly downAfterMs: number;
}

export function startLiveness({ store, log, now, flushIntervalMs, downAfterMs }: LivenessOptions): Liveness {
  const startedAtMs = now();
  let pending = new Map<string, Heartbeat>();
  let running: Promise<void> = Promise.resolve();

  const write = async () => {
    const batch = pending;
    pending = new Map();
    if (batch.size > 0) await store.targets.recordHeartbeats([...batch.values()]);
    // After a start every node gets its time to come back, or an outage of the server would look like one of the fleet.
    if (now() - startedAtMs < downAfterMs) return;
    const down = await store.targets.markDown(now() - downAfterMs);
    if (down.length > 0) log.warn("nodes stopped asking for their bundle", { nodes: down.length, first: down[0] });
  };
  const flush = () => {
    running = running.then(write).catch((error: unknown) => log.error("cannot record heartbeats", { error }));
    return running;
  };
  const timer = setInterval(() => void flush(), flushIntervalMs);
  timer.unref();

  return {
    seen: (targetId, appliedRevision) => {
      const revision = appliedRevision ?? pending.get(targetId)?.appliedRevision;
      pending.set(targetId, {
        targetId,
        seenAtMs: now(),
        ...(revision === undefined ? {} : { appliedRevision: revision }),
      });
    },
    flush,
    stop: async () => {
      clearInterval(timer);
      await flush();
    },
  };
}
