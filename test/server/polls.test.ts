import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "../../runtime/log.ts";
import { createPolls } from "../../server/polls.ts";
import { watchRevisions } from "../../server/revisions.ts";
import { openStore } from "../../server/store/store.ts";

const bundle = { etag: '"1.1.a"', bytes: new Uint8Array(0), epoch: 1, version: 1 };
const node = { id: "n", groupIds: [] };

test("polls that end without a change leave nothing behind", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-polls-"));
  const store = await openStore(`sqlite://${join(folder, "server.db")}`);
  const revisions = await watchRevisions(store, createLogger({ level: "error" }));
  try {
    const polls = createPolls({
      revisions,
      bundles: { forGroups: async () => bundle, effectiveChecks: async () => [] },
      nodes: { get: async () => node as never, forget: () => {} },
    });
    const signal = new AbortController().signal;
    const pollAll = () =>
      Promise.all(
        Array.from({ length: 3000 }, (_, i) => polls.next({ nodeId: `n${i}`, etag: bundle.etag, waitMs: 1, signal })),
      );
    const liveObjects = () => {
      Bun.gc(true);
      return heapStats().objectCount;
    };
    await pollAll();
    const before = liveObjects();
    for (let round = 0; round < 5; round++) await pollAll();
    expect(polls.waiting()).toBe(0);
    // One object kept for each of the 15,000 polls would be far beyond this.
    expect(liveObjects() - before).toBeLessThan(5000);
  } finally {
    revisions.stop();
    await store.close();
    rmSync(folder, { recursive: true });
  }
});
