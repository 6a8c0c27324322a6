import { expect, test } from "bun:test";
import { parseJunit } from "../../scripts/junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" assertions="2" failures="1" skipped="2" time="0.01">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="5" failures="1" skipped="2">
    <testsuite name="a group" file="test/a.test.ts" tests="2" failures="1" skipped="0">
      <testcase name="passes &gt; fine" classname="a group" time="0.1" file="test/a.test.ts" line="2" assertions="1" />
      <testcase name="fails" classname="a group" time="0" file="test/a.test.ts" line="5" assertions="1">
        <failure type="AssertionError" message="expect(a)&#10;">&lt;skipped /&gt; is text&#10;here&#10;</failure>
      </testcase>
      <testcase name="hangs" classname="a group" time="5" file="test/a.test.ts" line="9" assertions="0">
        <failure type="TimeoutError" message="test timed out" />
      </testcase>
    </testsuite>
    <testcase name="needs &quot;root&quot;" classname="" time="0" file="test/a.test.ts" line="3" assertions="0">
      <skipped />
    </testcase>
    <testcase name="later" classname="" time="0" file="test/a.test.ts" line="4" assertions="0">
      <skipped message="TODO" />
    </testcase>
  </testsuite>
  <testsuite name="test/b.test.ts" file="test/b.test.ts" tests="1">
    <testcase name="also passes" classname="" time="0" file="test/b.test.ts" line="4" assertions="0">
    </testcase>
  </testsuite>
</testsuites>`;

test("counts cases of nested suites", () => {
  expect(parseJunit(report)).toEqual({
    passed: 2,
    failed: [
      { name: "test/a.test.ts: fails", reason: "<skipped /> is text\nhere" },
      { name: "test/a.test.ts: hangs", reason: "test timed out" },
    ],
    skipped: ['test/a.test.ts: needs "root"', "test/a.test.ts: later"],
    files: new Set(["test/a.test.ts", "test/b.test.ts"]),
  });
});

test("an empty report counts nothing", () => {
  expect(parseJunit("<testsuites />")).toEqual({ passed: 0, failed: [], skipped: [], files: new Set() });
});
