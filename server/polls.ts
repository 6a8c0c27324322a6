import { setTimeout as delay } from "node:timers/promises";
import type { Bundles, ServedBundle } from "./bundles.ts";
import type { Nodes } from "./nodes.ts";
import type { Revisions } from "./revisions.ts";

export interface Poll {
  readonly nodeId: string;
  /** If-None-Match of the request. */
  readonly etag: string | undefined;
  readonly waitMs: number;
  /** Aborted when the node hangs up. */
  readonly signal: AbortSignal;
}

export interface Polls {
  /** Answers at once when the bundle is not the one the node has, else when it changes or the wait is over. */
  next(poll: Poll): Promise<ServedBundle | undefined>;
  waiting(): number;
  /** Answers all who wait, so that a server that stops leaves nobody hanging. */
  drain(): void;
}

export interface PollOptions {
  readonly bundles: Bundles;
  readonly nodes: Nodes;
  readonly revisions: Pick<Revisions, "changed">;
}

/** Answers to a change are spread over this long, one millisecond for every four nodes that wait. */
const maxSpreadMs = 500;

export function createPolls({ bundles, nodes, revisions }: PollOptions): Polls {
  const open = new Map<string, AbortController>();
  let isDraining = false;

  const current = async (nodeId: string): Promise<ServedBundle | undefined> => {
    const node = await nodes.get(nodeId);
    return node === undefined ? undefined : bundles.forGroups(node.groupIds);
  };

  const wait = async ({ nodeId, etag }: Poll, ended: AbortSignal): Promise<ServedBundle | undefined> => {
    for (;;) {
      const changed = revisions.changed(ended); // before the look, so that no change falls between
      const bundle = await current(nodeId);
      if (bundle === undefined || bundle.etag !== etag) return bundle;
      await changed;
      if (ended.aborted) return bundle;
      await delay(Math.random() * Math.min(maxSpreadMs, open.size / 4), undefined, { signal: ended }).catch(
        () => undefined,
      );
    }
  };

  return {
    next: async (poll) => {
      const { nodeId, waitMs, signal } = poll;
      if (waitMs <= 0 || isDraining || signal.aborted) return current(nodeId);
      // One outstanding poll per node: a newer one means that the node gave up on the older.
      open.get(nodeId)?.abort();
      const ended = new AbortController();
      open.set(nodeId, ended);
      const end = () => ended.abort();
      signal.addEventListener("abort", end);
      const timer = setTimeout(end, waitMs);
      try {
        return await wait(poll, ended.signal);
      } finally {
        end();
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        if (open.get(nodeId) === ended) open.delete(nodeId);
      }
    },
    waiting: () => open.size,
    drain: () => {
      isDraining = true;
      for (const ended of open.values()) ended.abort();
    },
  };
}
