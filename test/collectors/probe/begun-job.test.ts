import { expect, test } from "bun:test";
import { closeSync, ftruncateSync } from "node:fs";
import { createBegunJob, openBegunJob } from "../../../collectors/probe/begun-job.ts";

test("what one side sets the other gets, and neither can take the memory away from the other", () => {
  const daemon = createBegunJob();
  const child = openBegunJob(daemon.fd);
  expect(daemon.get()).toBe(0);
  child.set(2 ** 40 + 1);
  expect(daemon.get()).toBe(2 ** 40 + 1);
  for (const length of [0, 4096]) expect(() => ftruncateSync(daemon.fd, length)).toThrow("EPERM");
  closeSync(daemon.fd);
  child.set(3);
  expect(daemon.get()).toBe(3);
});
