import { expect, test } from "bun:test";
import { createBasicAuth } from "../../../daemon/web/basic-auth.ts";

const header = (password: string): string => `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;

test("a flood of wrong passwords does not make the right one slow", async () => {
  let comparisons = 0;
  const auth = createBasicAuth({ ann: "hash" }, async (password) => {
    comparisons++;
    return password === "secret";
  });
  expect(await auth.check(header("secret"))).toBe(true);
  for (let guess = 0; guess < 300; guess++) expect(await auth.check(header(`guess ${guess}`))).toBe(false);
  comparisons = 0;
  expect(await auth.check(header("secret"))).toBe(true);
  expect(await auth.check(header("guess 299"))).toBe(false);
  expect(comparisons).toBe(0);
});
