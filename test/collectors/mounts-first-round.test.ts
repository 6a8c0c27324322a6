import { expect, test } from "bun:test";
import { waitForFirstRound } from "../../collectors/mounts/first-round.ts";

const never = new AbortController().signal;

/** Mounts of which one answers every `everyMs`, up to `answering` of them; the round ends with the last of `mounts`. */
function createRound({ mounts, answering, everyMs }: { mounts: number; answering: number; everyMs: number }) {
  const { promise: firstRound, resolve } = Promise.withResolvers<void>();
  let answers = 0;
  const timer = setInterval(() => {
    if (answers < answering) answers++;
    if (answers === mounts) resolve();
  }, everyMs);
  return { firstRound, answered: () => answers, [Symbol.dispose]: () => clearInterval(timer) };
}

test("answers that keep coming are waited for, however long they take together", async () => {
  using round = createRound({ mounts: 20, answering: 20, everyMs: 30 });
  await waitForFirstRound(round, never, { silenceMs: 400, startMs: 60_000 });
  expect(round.answered()).toBe(20);
});

test("a mount that hangs is not waited for, the others are", async () => {
  using round = createRound({ mounts: 4, answering: 3, everyMs: 1 });
  await waitForFirstRound(round, never, { silenceMs: 100, startMs: 60_000 });
  expect(round.answered()).toBe(3);
});

test("nothing is waited for when no probe ever answers, or the page has to go", async () => {
  using round = createRound({ mounts: 1, answering: 0, everyMs: 1 });
  await waitForFirstRound(round, never, { silenceMs: 60_000, startMs: 50 });
  await waitForFirstRound(round, AbortSignal.timeout(10), { silenceMs: 60_000, startMs: 60_000 });
  expect(round.answered()).toBe(0);
});

test("a round that has ended is not waited for", async () => {
  await waitForFirstRound({ firstRound: Promise.resolve(), answered: () => 0 }, never);
});
