import { expect, test } from "bun:test";
import { describeFailures, errorsBetweenTests, explainFrom } from "../../scripts/test-failures.ts";

const failure = (name: string, lines: number) => ({
  name,
  reason: Array.from({ length: lines }, (_, index) => `${name} ${index + 1}`).join("\n\n"),
});

test("a failure is named, with its reason", () => {
  expect(describeFailures([failure("a", 2), { name: "missing: nginx", reason: "" }])).toEqual([
    "FAILED a",
    "    a 1",
    "    a 2",
    "FAILED missing: nginx",
  ]);
});

test("all of them fit in what is seen of a log, each with its message and its place", () => {
  const lines = describeFailures(["a", "b", "c", "d"].map((name) => failure(name, 50)));
  expect(lines).toHaveLength(28);
  expect(lines.slice(0, 7)).toEqual(["FAILED a", "    a 1", "    a 2", "    a 3", "    a 4", "    a 5", "    a 50"]);
});

test("a page that should have been another does not fill the log", () => {
  const [, line = ""] = describeFailures([{ name: "a", reason: "x".repeat(100_000) }]);
  expect(line).toHaveLength(240);
  expect(line).toEndWith("…");
});

test("a file that cannot be loaded is known from the log alone", () => {
  const log = [
    "test/a.test.ts:",
    "",
    "# Unhandled error between tests",
    "-------------------------------",
    "2 | test();",
    "3 | throw new Error();",
    "              ^",
    "\u001b[31merror\u001b[0m: broken file",
    "      at test/a.test.ts:3:11",
    "-------------------------------",
    "",
    "(pass) fine [0.1ms]",
  ];
  expect(errorsBetweenTests(log.join("\n"))).toEqual([
    { name: "an error between tests", reason: "error: broken file\n      at test/a.test.ts:3:11\n" },
  ]);
  expect(errorsBetweenTests("(pass) fine [0.1ms]\n")).toEqual([]);
});

test("what stands behind a SuppressedError is known from the log", () => {
  const log = [
    "(pass) before [1ms]",
    "after 60 s still waiting for the page",
    "daemon logged errors: no sandbox",
    "36 | });",
    "      ^",
    "SuppressedError: ",
    "      at test/a.test.ts:36:2",
    "(fail) a group > a daemon [61553.88ms]",
  ];
  const failure = { name: "test/a.test.ts: a daemon", reason: "SuppressedError\n      at test/a.test.ts:36:2" };
  expect(explainFrom(log.join("\n"), failure).reason.split("\n").slice(0, 2)).toEqual(log.slice(1, 3));
  const other = { name: "test/a.test.ts: b", reason: "Error: b" };
  expect(explainFrom(log.join("\n"), other)).toBe(other);
});
