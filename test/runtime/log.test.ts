import { expect, test } from "bun:test";
import { describeError } from "../../runtime/log.ts";

const cause = new Error("ENOENT: no such file");

test.each([
  ["the cause follows", new Error("cannot read /x", { cause }), "cannot read /x: ENOENT: no such file"],
  [
    "a cause that is quoted is not repeated",
    new Error("cannot read /x: ENOENT: no such file", { cause }),
    "cannot read /x: ENOENT: no such file",
  ],
  ["a cause that says more replaces", new Error("ENOENT", { cause }), "ENOENT: no such file"],
  ["three levels", new Error("a", { cause: new Error("b", { cause: new Error("c") }) }), "a: b: c"],
  ["no error", "text", "text"],
])("%s", (_what, value, text) => expect(describeError(value)).toBe(text));
