import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";
import { textfile } from "../../collectors/textfile.ts";

const mtimeSeconds = 1_700_000_000;

/** Runs the collector on these files, `directories` relative to them. */
async function collect(files: Record<string, string>, directories: readonly string[] = ["."]) {
  const root = mkdtempSync(join(tmpdir(), "aami-textfile-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      utimesSync(path, mtimeSeconds + 0.9, mtimeSeconds + 0.9);
    }
    const skipped: string[] = [];
    const host = { skipped: (what: string) => void skipped.push(what.replaceAll(`${root}/`, "")) } as unknown as Host;
    const collector = textfile.create({ directory: directories.map((name) => join(root, name)) });
    const families = encodeFamilies(await collector.collect(host, AbortSignal.timeout(20_000)));
    const page = families.map(({ text }) => text.replaceAll(`${root}/`, "")).join("");
    const lines = page.split("\n").filter((line) => line !== "" && !/node_textfile_(mtime|scrape)/.test(line));
    const own = page.split("\n").filter((line) => /^node_textfile_/.test(line));
    const sources = Object.fromEntries(families.map(({ name, source }) => [name, source?.replaceAll(`${root}/`, "")]));
    return { lines, own, skipped, sources };
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("the good files of a folder, in whole seconds; other names and sub-folders are not read", async () => {
  const page = await collect({
    "a.prom": "# HELP x Some text.\n# TYPE x counter\nx 1\n",
    "b.prom": 'y{a="b"} 2\n',
    "c.prom.tmp": "z 3\n",
    "sub/d.prom": "z 4\n",
  });
  expect(page.lines).toEqual([
    ...["# HELP x Some text.", "# TYPE x counter", "x 1"],
    ...["# HELP y Metric read from b.prom", "# TYPE y untyped", 'y{a="b"} 2'],
  ]);
  expect(page.own).toEqual([
    'node_textfile_mtime_seconds{file="a.prom"} 1.7e+09',
    'node_textfile_mtime_seconds{file="b.prom"} 1.7e+09',
    "node_textfile_scrape_error 0",
  ]);
  expect(page.sources).toMatchObject({ x: "a.prom", y: "b.prom" });
});

test.each([
  ["a timestamp", "bad 1 2\n"],
  ["no newline at the end", "good 1\nbad 1"],
  ["a fault in the last line", "good 1\nbad\n"],
])("a file with %s is left out whole, the others stay", async (_, text) => {
  const page = await collect({ "a.prom": text, "b.prom": "x 1\n" });
  expect(page.lines.at(-1)).toBe("x 1");
  expect(page.lines).toHaveLength(3);
  expect(page.own).toEqual(['node_textfile_mtime_seconds{file="b.prom"} 1.7e+09', "node_textfile_scrape_error 1"]);
  expect(page.skipped).toEqual(["a.prom"]);
});

describe("one family in several files", () => {
  test("is joined, and named after all of them without a help text", async () => {
    const { lines, sources } = await collect({ "a.prom": 'x{f="a"} 1\n', "b.prom": "# HELP x \nx 2\n" });
    expect(lines).toEqual(["# HELP x Metric read from a.prom, b.prom", "# TYPE x untyped", 'x{f=""} 2', 'x{f="a"} 1']);
    expect(sources["x"]).toBe("a.prom, b.prom");
  });

  test.each([
    ["help text", "# HELP x one\nx 1\n", '# HELP x two\nx{f="b"} 2\n'],
    ["type", "# TYPE x gauge\nx 1\n", '# TYPE x counter\nx{f="b"} 2\n'],
  ])("with another %s keeps the first and is an error", async (_, first, second) => {
    const page = await collect({ "a.prom": first, "b.prom": second, "c.prom": "y 1\n" });
    expect(page.lines.filter((line) => line.startsWith("x"))).toEqual(["x 1"]);
    expect(page.own.at(-1)).toBe("node_textfile_scrape_error 1");
    expect(page.own).toHaveLength(4);
    expect(page.skipped).toEqual(["x in b.prom"]);
  });

  test("the same series twice is published once", async () => {
    const { lines } = await collect({ "a.prom": 'x{a="1"} 1\n', "b.prom": 'x{a="1"} 2\n' });
    expect(lines.filter((line) => line.startsWith("x"))).toEqual(['x{a="1"} 1']);
  });
});

test("series of a family are padded to the same labels", async () => {
  const { lines } = await collect({ "a.prom": 'x{a="1"} 1\nx 2\nx{b="y"} 3\n' });
  expect(lines.slice(2)).toEqual(['x{a="",b=""} 2', 'x{a="",b="y"} 3', 'x{a="1",b=""} 1']);
});

test("histograms and summaries keep their parts, in order, with the infinite bucket", async () => {
  const { lines } = await collect({
    "a.prom":
      '# TYPE h histogram\nh_bucket{z="2",le="10"} 4\nh_bucket{z="2",le="2"} 3\nh_count{z="2"} 5\n' +
      'h_bucket{z="1",le="2"} 1\nh_sum{z="1"} 0.5\nh_count{z="1"} 1\n' +
      '# TYPE s summary\ns{z="1",quantile="0.5"} 7\ns_sum{z="1"} 8\ns_count{z="1"} 9\n',
  });
  expect(lines.filter((line) => !line.startsWith("#"))).toEqual([
    ...['h_bucket{z="1",le="2"} 1', 'h_bucket{z="1",le="+Inf"} 1', 'h_sum{z="1"} 0.5', 'h_count{z="1"} 1'],
    ...['h_bucket{z="2",le="2"} 3', 'h_bucket{z="2",le="10"} 4', 'h_bucket{z="2",le="+Inf"} 5'],
    ...['h_sum{z="2"} 0', 'h_count{z="2"} 5'],
    ...['s{z="1",quantile="0.5"} 7', 's_sum{z="1"} 8', 's_count{z="1"} 9'],
  ]);
});

test("names of the collector itself and clashing parts are refused", async () => {
  const page = await collect({
    "a.prom": "node_textfile_scrape_error 0\n",
    "b.prom": "# TYPE s summary\ns_count 1\n",
    "c.prom": "# TYPE s_sum gauge\ns_sum 3\n",
  });
  expect(page.lines.filter((line) => !line.startsWith("#"))).toEqual(["s_sum 3"]);
  expect(page.skipped).toEqual(["node_textfile_scrape_error in a.prom", "s in b.prom"]);
});

describe("folders", () => {
  test("several, and patterns", async () => {
    const files = { "one/a.prom": "x 1\n", "two/b.prom": "y 1\n", "other/c.prom": "z 1\n" };
    expect((await collect(files, ["one", "t*"])).own).toHaveLength(3);
    expect((await collect(files, ["*"])).own).toHaveLength(4);
  });

  test.each([
    ["braces", "{a,b}*", ["{a,b}c"]],
    ["an exclamation mark in a class", "[!a]", ["!", "a"]],
    ["a negated class", "[^a]", ["!", "b", "{"]],
    ["two stars", "**", ["!", "a", "b", "{", "{a,b}c"]],
    ["an escaped star", "\\*", []],
  ])("%s in a pattern as Go's filepath.Glob takes them", async (_, pattern, expected) => {
    const folders = ["a", "b", "!", "{", "{a,b}c", "a/deep"];
    const files = Object.fromEntries(folders.map((folder, index) => [`${folder}/x.prom`, `x_${index} 1\n`]));
    const { own } = await collect(files, [pattern]);
    const read = own.flatMap((line) => /file="(.*)\/x\.prom"/.exec(line)?.[1] ?? []);
    expect(read).toEqual([...expected]);
  });

  test("one that is not there is an error, none is not", async () => {
    expect(await collect({}, ["nowhere"])).toMatchObject({
      own: ["node_textfile_scrape_error 1"],
      skipped: ["nowhere"],
    });
    expect((await collect({}, [])).own).toEqual(["node_textfile_scrape_error 0"]);
  });

  test("a FIFO or a folder named like a file is an error and never waited for", async () => {
    const root = mkdtempSync(join(tmpdir(), "aami-fifo-"));
    try {
      expect(Bun.spawnSync(["mkfifo", join(root, "a.prom")]).exitCode).toBe(0);
      mkdirSync(join(root, "b.prom"));
      const skipped: string[] = [];
      const host = { skipped: (what: string) => void skipped.push(what) } as unknown as Host;
      await textfile.create({ directory: [root] }).collect(host, AbortSignal.timeout(5000));
      expect(skipped).toEqual([join(root, "a.prom"), join(root, "b.prom")]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

test("a file of 100,000 lines", async () => {
  const series = Array.from({ length: 100_000 }, (_, index) => `x{index="${index}",name="a b"} ${index}\n`);
  const { lines } = await collect({ "a.prom": series.join("") });
  expect(lines).toHaveLength(100_002);
}, 180_000);
