import { expect, test } from "bun:test";
import { createHeapKeeper } from "../../daemon/heap-keeper.ts";
import { waitFor } from "../harness/wait.ts";

test("the heap is collected at leisure after some pages, and in time under load", async () => {
  let collected = 0;
  const heap = createHeapKeeper(() => void collected++);
  for (let page = 0; page < 70; page++) heap.pageSent();
  expect(collected).toBe(0);
  await waitFor("a collection at leisure", () => collected === 1);
  for (let page = 0; page < 200; page++) heap.pageSent();
  await waitFor("the next one", () => collected === 2);
  heap.stop();
});
