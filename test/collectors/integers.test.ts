import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseIntegers } from "../../collectors/fields.ts";
import { createOpenFiles } from "../../collectors/open-files.ts";
import { parseSchedstat } from "../../collectors/schedstat.ts";
import { sharedFolder } from "../harness/workspace.ts";

const folder = sharedFolder();

describe("a file that holds an integer is a number, any other its text", () => {
  test.each([
    ["0\n", 0],
    ["-1\n", -1],
    ["0012", 12],
    ["9007199254740991\n", Number.MAX_SAFE_INTEGER],
    ["9007199254740993\n", "9007199254740993\n"],
    ["18446744073709551615\n", "18446744073709551615\n"],
    ["", ""],
    ["\n", "\n"],
    ["-", "-"],
    ["-\n", "-\n"],
    ["1\n2\n", "1\n2\n"],
    ["1\n\n", "1\n\n"],
    ["1 2\n", "1 2\n"],
    [" 1\n", " 1\n"],
    ["1.5\n", "1.5\n"],
    ["0x1f\n", "0x1f\n"],
    ["1\0\n", "1\0\n"],
    ["٣\n", "٣\n"],
  ])("%j", (text, reading) => {
    const path = join(folder, "value");
    writeFileSync(path, text);
    const files = createOpenFiles();
    for (let index = 0; index < 3; index++) expect(files.readIntegerOrText(path)).toBe(reading);
  });
});

test.each([
  ["cpu0 1 20 300", [1, 20, 300]],
  ["cpu0", []],
  ["cpu0 9007199254740991", [Number.MAX_SAFE_INTEGER]],
  ["cpu0 9007199254740993", undefined],
  ["cpu0 1  2", undefined],
  ["cpu0 1 ", undefined],
  ["cpu0 1 x", undefined],
  ["cpu0 1x", undefined],
  ["cpu0 -1", undefined],
  ["cpu0 1.5", undefined],
  ["cpu01 2", undefined],
])("the integers of %j", (line, numbers) => {
  expect(parseIntegers(line, 4)).toEqual(numbers);
});

test("a line of schedstat with numbers too long to be exact, without the ninth, or with a gap", () => {
  const skipped: string[] = [];
  const text = "cpu0 0 0 0 0 0 0 18446744073709551615 2000000000 3\ncpu1 0 0 0 0 0 0 1 2\ncpu2 0 0 0 0 0 0 1  3\n";
  const families = parseSchedstat(text, { skipped: (what) => void skipped.push(what) });
  const values = families.map(({ name, samples }) => [name, samples.map(({ value }) => value)]);
  expect(Object.fromEntries(values)).toEqual({
    node_schedstat_running_seconds_total: [18446744073.709553],
    node_schedstat_waiting_seconds_total: [2],
    node_schedstat_timeslices_total: [3],
  });
  expect(skipped).toEqual(["cpu1 in schedstat", "cpu2 in schedstat"]);
});
