import { describe, expect, test } from "bun:test";
import type { MetricFamily } from "../../collectors/collector.ts";
import { encodeFamilies, formatLabels, formatValue } from "../../collectors/exposition.ts";

const family = (samples: MetricFamily["samples"], more: Partial<MetricFamily> = {}): MetricFamily => ({
  ...{ name: "x", help: "Some help.", type: "gauge", samples },
  ...more,
});
const series = (families: readonly MetricFamily[]) =>
  encodeFamilies(families).flatMap(({ text }) => text.split("\n").filter((line) => line !== "" && line[0] !== "#"));

describe("encodeFamilies", () => {
  test("HELP, TYPE, escapes", () => {
    const [encoded] = encodeFamilies([
      family([{ labels: { a: 'quote " line \n back \\' }, value: 1 }], { help: 'Line \n back \\ quote "' }),
    ]);
    expect(encoded?.text).toBe(
      '# HELP x Line \\n back \\\\ quote "\n# TYPE x gauge\nx{a="quote \\" line \\n back \\\\"} 1\n',
    );
  });

  test("label names sorted, series by label values and not by their text", () => {
    const labels = [{ b: "1", a: "2" }, { b: "0", a: "2" }, { b: "0", a: "10" }, { b: "0", a: "1 0" }, { b: "0", a: "1" }]; // prettier-ignore
    expect(series([family(labels.map((each) => ({ labels: each, value: 1 })))])).toEqual([
      ...['x{a="1",b="0"} 1', 'x{a="1 0",b="0"} 1', 'x{a="10",b="0"} 1', 'x{a="2",b="0"} 1', 'x{a="2",b="1"} 1'],
    ]);
  });

  test("families sorted and joined by name; one without series is left out", () => {
    const families = [
      family([{ labels: {}, value: 1 }], { name: "b" }),
      family([], { name: "c" }),
      family([{ labels: {}, value: 2 }], { name: "a" }),
      family([{ labels: { z: "1" }, value: 3 }], { name: "b", help: "Another help." }),
    ];
    expect(encodeFamilies(families).map(({ name }) => name)).toEqual(["a", "b"]);
    expect(encodeFamilies(families)[1]?.text).toBe('# HELP b Some help.\n# TYPE b gauge\nb 1\nb{z="1"} 3\n');
  });

  test.each([
    ["the same labels", [{ a: "1" }, { a: "0" }, { a: "1" }], ['x{a="0"} 1', 'x{a="1"} 0']],
    [
      "other names with the same values between them",
      [{ a: "1" }, { b: "1" }, { a: "1" }],
      ['x{a="1"} 0', 'x{b="1"} 1'],
    ],
    [
      "names in another order",
      [
        { a: "1", b: "2" },
        { b: "2", a: "1" },
      ],
      ['x{a="1",b="2"} 0'],
    ],
  ])("a series is published once, the first one: %s", (_, labels, lines) => {
    const families = [family(labels.map((each, value) => ({ labels: each as Record<string, string>, value })))];
    expect(series(families)).toEqual([...lines]);
    expect(encodeFamilies(families)[0]?.duplicates).toBe(labels.length - lines.length);
  });

  test("parts of a histogram keep their order and have le last", () => {
    const parts: MetricFamily["samples"] = [
      { labels: { z: "1", le: "5" }, value: 1, suffix: "_bucket" },
      { labels: { z: "1", le: "+Inf" }, value: 2, suffix: "_bucket" },
      { labels: { z: "1" }, value: 7, suffix: "_sum" },
      { labels: { z: "1" }, value: 2, suffix: "_count" },
    ];
    expect(series([family(parts, { type: "histogram" })])).toEqual([
      ...['x_bucket{z="1",le="5"} 1', 'x_bucket{z="1",le="+Inf"} 2', 'x_sum{z="1"} 7', 'x_count{z="1"} 2'],
    ]);
  });
});

test.each([
  [0, "0"],
  [-0, "0"],
  [1, "1"],
  [0.1, "0.1"],
  [0.0001, "0.0001"],
  [0.00001, "1e-05"],
  [123_456_789_012, "1.23456789012e+11"],
  [-1_200_000, "-1.2e+06"],
  [9_007_199_254_740_991, "9.007199254740991e+15"],
  [9_007_199_254_740_992, "9.007199254740992e+15"],
  [999_999, "999999"],
  [1e6, "1e+06"],
  [1_234_567.5, "1.2345675e+06"],
  [-1e21, "-1e+21"],
  [1.7976931348623157e308, "1.7976931348623157e+308"],
  [5e-324, "5e-324"],
  [Number.NaN, "NaN"],
  [Infinity, "+Inf"],
  [-Infinity, "-Inf"],
])("the value %p is written %p", (value, text) => expect(formatValue(value)).toBe(text));

test("formatLabels", () => {
  expect(formatLabels({})).toBe("");
  expect(formatLabels({ b: '"', a: "1" })).toBe('{a="1",b="\\""}');
});
