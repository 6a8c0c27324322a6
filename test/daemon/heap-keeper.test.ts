import { expect, test } from "bun:test";
import { createHeapKeeper } from "../../daemon/heap-keeper.ts";

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition() && performance.now() < deadline) await Bun.sleep(5);
}

test("the heap is collected at leisure after some pages, and in time under load", async () => {
  let collected = 0;
  const heap = createHeapKeeper(() => void collected++);
  for (let page = 0; page < 70; page++) heap.pageSent();
  expect(collected).toBe(0);
  await until(() => collected === 1);
  expect(collected).toBe(1);
  for (let page = 0; page < 200; page++) heap.pageSent();
  await until(() => collected === 2);
  expect(collected).toBe(2);
  heap.stop();
});
