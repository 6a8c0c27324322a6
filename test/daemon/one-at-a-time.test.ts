import { expect, test } from "bun:test";
import { oneAtATime } from "../../daemon/one-at-a-time.ts";

test("a thousand who ask while it runs share one run, which begins after it", async () => {
  const runs: PromiseWithResolvers<string>[] = [];
  const run = oneAtATime(() => {
    const begun = Promise.withResolvers<string>();
    runs.push(begun);
    return begun.promise;
  });
  const first = run();
  await Promise.resolve();
  const others = Array.from({ length: 1000 }, run);
  await Promise.resolve();
  expect(runs).toHaveLength(1);
  runs[0]?.resolve("first");
  expect(await first).toBe("first");
  runs[1]?.resolve("second");
  expect(new Set(await Promise.all(others))).toEqual(new Set(["second"]));
  expect(runs).toHaveLength(2);
});

test("a run that fails keeps nobody from the next", async () => {
  let count = 0;
  const run = oneAtATime(async () => {
    count++;
    if (count === 1) throw new Error("broken");
    return count;
  });
  expect(run()).rejects.toThrow("broken");
  await Promise.resolve();
  expect(await run()).toBe(2);
});
