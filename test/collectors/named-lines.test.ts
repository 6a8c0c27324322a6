import { expect, test } from "bun:test";
import { createNamedLines } from "../../collectors/named-lines.ts";

const first = "a 1\nbb 2\nnothing\nunwanted 3\nc 4";
const ofFirst = ["a=1", "bb=2", "c=4"];

test.each([
  ["the same lines", first, ofFirst],
  ["other numbers", "a 100\nbb \nnothing\nunwanted 3\nc 4 kB\n", ["a=100", "bb=", "c=4 kB"]],
  ["a line more in front", `d 5\n${first}`, ["d=5", "a=1", "bb=2", "c=4"]],
  ["a line less", "bb 2\nnothing\nunwanted 3\nc 4", ["bb=2", "c=4"]],
  ["two lines in the other order", "bb 2\na 1\n", ["bb=2", "a=1"]],
  ["a longer name", "ab 1\nb 2\n", ["ab=1", "b=2"]],
  ["a name that begins with the one before", "a1 1\nbbb 2\n", ["a1=1", "bbb=2"]],
  ["a wanted name instead of one that is not", "a 1\nbb 2\nnothing\nwanted 3\nc 4", ["a=1", "bb=2", "wanted=3", "c=4"]],
  ["a name where there was none", "a 1\nbb 2\nnothing 7\nunwanted 3", ["a=1", "bb=2", "nothing=7"]],
  ["no lines", "", []],
])("a reading with %s", (_, text, expected) => {
  const readLines = createNamedLines(/^(\S+) /, (name) => (name === "unwanted" ? undefined : name));
  const read = (from: string): string[] => {
    const seen: string[] = [];
    readLines(from, (name, rest) => seen.push(`${name}=${rest}`));
    return seen;
  };
  expect([first, text, text, first].map(read)).toEqual([ofFirst, expected, expected, ofFirst]);
});

test("a name is asked about once", () => {
  const asked: string[] = [];
  const readLines = createNamedLines(/^(\S+) /, (name) => asked.push(name));
  for (const number of [1, 22, 333]) readLines(`a ${number}\nb ${number}\n`, () => {});
  expect(asked).toEqual(["a", "b"]);
});
