import { expect, test } from "bun:test";
import type { MetricFamily, Sample } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { createFamilyEncoder } from "../../collectors/family-encoder.ts";

const family = (samples: MetricFamily["samples"], more: Partial<MetricFamily> = {}): MetricFamily => ({
  ...{ name: "x", help: "Some help.", type: "gauge", samples },
  ...more,
});
const sample = (value: number, labels: Sample["labels"] = {}): Sample => ({ labels, value });
const before = [
  family([sample(1, { a: "2", b: "3" }), sample(2, { a: "1", b: "3" })]),
  family([sample(3)], { name: "w" }),
];

test.each<[string, MetricFamily[]]>([
  ["a value", [family([sample(1, { a: "2", b: "3" }), sample(5, { a: "1", b: "3" })])]],
  ["zero to minus zero and NaN", [family([sample(-0, { a: "2", b: "3" }), sample(NaN, { a: "1", b: "3" })])]],
  ["a label's value", [family([sample(1, { a: "2", b: "4" }), sample(2, { a: "1", b: "3" })])]],
  ["a label more", [family([sample(1, { a: "2", b: "3", c: "" }), sample(2, { a: "1", b: "3" })])]],
  ["a label less", [family([sample(1, { a: "2" }), sample(2, { a: "1" })])]],
  ["a label's name", [family([sample(1, { a: "2", c: "3" }), sample(2, { a: "1", b: "3" })])]],
  ["the order of the samples", [family([sample(1, { a: "1", b: "3" }), sample(2, { a: "2", b: "3" })])]],
  ["the order of the labels", [family([sample(7, { b: "3", a: "2" }), sample(8, { a: "1", b: "3" })])]],
  ["a series more", [family([sample(1, { a: "2" }), sample(2, { a: "1" }), sample(3, { a: "0" })])]],
  ["a series less", [family([sample(9, { a: "2", b: "3" })])]],
  ["a series twice", [family([sample(1, { a: "2", b: "3" }), sample(2, { a: "2", b: "3" })])]],
  ["the help", [family([sample(1, { a: "2", b: "3" }), sample(2, { a: "1", b: "3" })], { help: "Other." })]],
  ["the type", [family([sample(1, { a: "2", b: "3" }), sample(2, { a: "1", b: "3" })], { type: "untyped" })]],
  ["the source", [family([sample(1, { a: "2", b: "3" }), sample(2, { a: "1", b: "3" })], { source: "f.prom" })]],
  ["the suffix", [family([{ ...sample(1, { a: "2" }), suffix: "_sum" }], { type: "summary" })]],
  ["a family of other name", [family([sample(1)], { name: "v" }), family([sample(3)], { name: "w" })]],
  ["a family more", [family([sample(4)], { name: "y" }), ...before, family([sample(4)], { name: "a" })]],
  ["a family twice", [...before, family([sample(4, { a: "0", b: "0" })])]],
  ["a family without series", [family([]), family([sample(3)], { name: "w" })]],
  ["everything", []],
])("%s changes: the text is that of a first encoding", (_, now) => {
  const encode = createFamilyEncoder();
  for (const families of [before, now, now, before, now]) expect(encode(families)).toEqual(encodeFamilies(families));
});

test("a family that has not changed is not encoded again", () => {
  const encode = createFamilyEncoder();
  const [w, x] = encode(before);
  const again = encode([family([sample(3)], { name: "w" }), family([sample(0, { a: "2", b: "3" })])]);
  expect(again[0]).toBe(w as (typeof again)[0]);
  expect(again[1]).not.toBe(x as (typeof again)[0]);
});

test("a source may fill the same array again", () => {
  const encode = createFamilyEncoder();
  const samples = [sample(1, { a: "1" })];
  encode([family(samples)]);
  samples[0] = sample(1, { a: "2" });
  expect(encode([family(samples)])).toEqual(encodeFamilies([family(samples)]));
});

test("of the texts that the answers were cut out of only the last one is kept", () => {
  const encode = createFamilyEncoder();
  const megabytes = 200;
  const before = process.memoryUsage.rss();
  for (let round = 0; round < megabytes; round++) {
    const source = Buffer.alloc(2 ** 20, "a long text file ").toString();
    // All are read out of the whole file, and another one has changed each time.
    const families = Array.from({ length: megabytes }, (_, index) =>
      family([sample(1, { a: source.slice(0, index <= round ? 40 : 20) })], { name: `f${index}` }),
    );
    encode(families);
  }
  Bun.gc(true);
  expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(megabytes / 2);
});
