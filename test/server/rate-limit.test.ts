import { expect, test } from "bun:test";
import { createRateLimit } from "../../server/http/rate-limit.ts";

test("a bucket empties, refills with time and survives a clock that is set back", () => {
  let nowMs = 10_000_000;
  const limit = createRateLimit({ perSecond: 1, burst: 2 }, () => nowMs);
  limit.take("a");
  limit.take("a");
  expect(() => limit.take("a")).toThrow("try again in 1 s");
  limit.take("b");
  nowMs += 1000;
  limit.take("a");
  nowMs -= 3_600_000;
  expect(() => limit.take("a")).toThrow("try again in 1 s");
  nowMs += 1000;
  limit.take("a");
});
