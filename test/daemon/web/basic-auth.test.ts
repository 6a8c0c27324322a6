import { expect, test } from "bun:test";
import { createBasicAuth } from "../../../daemon/web/basic-auth.ts";

const header = (password: string): string => `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;

test("a flood of wrong passwords does not make the right one slow", async () => {
  let comparisons = 0;
  const auth = createBasicAuth({ ann: "hash" }, async (password) => {
    comparisons++;
    return password === "secret";
  });
  expect(await auth.check(header("secret"))).toBe("right");
  for (let guess = 0; guess < 300; guess++) expect(await auth.check(header(`guess ${guess}`))).toBe("wrong");
  comparisons = 0;
  expect(await auth.check(header("secret"))).toBe("right");
  expect(await auth.check(header("guess 299"))).toBe("wrong");
  expect(comparisons).toBe(0);
});

test("only so many wait for a comparison; the rest is told that it is busy", async () => {
  const gate = Promise.withResolvers<boolean>();
  let comparisons = 0;
  const auth = createBasicAuth({ ann: "hash" }, () => {
    comparisons++;
    return gate.promise;
  });
  const verdicts = Array.from({ length: 200 }, (_, guess) => auth.check(header(`guess ${guess}`)));
  expect(await verdicts[199]).toBe("busy");
  gate.resolve(false);
  const all = await Promise.all(verdicts);
  expect([all.filter((verdict) => verdict === "busy").length, comparisons]).toEqual([168, 32]);
  expect(await auth.check(header("guess 200"))).toBe("wrong");
});
