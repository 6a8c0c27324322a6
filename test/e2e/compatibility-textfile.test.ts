import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { startNodeExporter } from "../equipment/node-exporter.ts";
import { seriesValue, startDaemon } from "../harness/daemon.ts";
import { lacks } from "../harness/requirements.ts";
import { createWorkspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

const noPeer = await lacks("prometheus-node-exporter");

type Files = Readonly<Record<string, string | Uint8Array>>;

/** Folders and what is in them; both programs must make the same lines of it, HELP and TYPE included. */
const same: readonly (readonly [what: string, files: Files])[] = [
  ["plain values", { "a.prom": "x_value 1\nx_other 2.5\n" }],
  [
    "types and help",
    { "a.prom": '# HELP x_a One "a" \\\\ and \\n more\n# TYPE x_a gauge\nx_a 1\n# TYPE x_b counter\nx_b 2\n' },
  ],
  ["labels in any order", { "a.prom": 'x_a{b="2",a="1"} 1\nx_a{a="0",b="9"} 2\n' }],
  ["padding of missing labels", { "a.prom": 'x_a{a="1"} 1\nx_a{b="2"} 2\nx_a 3\n' }],
  ["escapes in label values", { "a.prom": 'x_a{p="C:\\\\dir",q="say \\"hi\\"",n="a\\nb"} 1\n' }],
  ["UTF-8 and control characters", { "a.prom": 'x_a{u="größe 温度",c="\x1c\t"} 1\n' }],
  [
    "numbers of every form",
    { "a.prom": "x_a 1e6\nx_b -0.000001\nx_c 123456789012\nx_d +7\nx_z -0\nx_e 0x10\nx_f 1_000\nx_g .5\n" },
  ],
  [
    "large and small numbers",
    { "a.prom": "x_a 1e21\nx_b 999999999999999999999\nx_c 1e-7\nx_d 1.7976931348623157e308\n" },
  ],
  ["NaN and infinities", { "a.prom": "x_a NaN\nx_b +Inf\nx_c -Inf\nx_d Inf\nx_e nan\n" }],
  ["blanks and comments", { "a.prom": '\n# a remark\n  x_a   1  \nx_b{ a = "1" , } 2\n#\n' }],
  [
    "histogram",
    { "a.prom": '# TYPE x_h histogram\nx_h_bucket{le="1"} 1\nx_h_bucket{le="+Inf"} 3\nx_h_sum 2.5\nx_h_count 3\n' },
  ],
  ["histogram without +Inf", { "a.prom": '# TYPE x_h histogram\nx_h_bucket{le="0.5"} 1\nx_h_sum 2\nx_h_count 3\n' }],
  [
    "summary",
    { "a.prom": '# TYPE x_s summary\nx_s{quantile="0.5"} 1\nx_s{quantile="0.99"} 2\nx_s_sum 3\nx_s_count 4\n' },
  ],
  ["two files", { "a.prom": "x_a 1\n", "b.prom": "x_b 2\n" }],
  ["one family in two files", { "a.prom": 'x_a{f="a"} 1\n', "b.prom": 'x_a{f="b"} 2\n' }],
  ["the end mark of OpenMetrics", { "a.prom": "x_a 1\n# EOF\n" }],
  ["other file names", { "a.prom.tmp": "x_a 1\n", "b.txt": "x_b 1\n", ".c.prom": "x_c 1\n", "D.PROM": "x_d 1\n" }],
  ["folders in it", { "sub/a.prom": "x_a 1\n" }],
  ["an empty folder", {}],
  ["an empty file", { "a.prom": "" }],
  ["a timestamp", { "a.prom": "x_a 1 1600000000000\n", "b.prom": "x_b 1\n" }],
  ["no newline at the end", { "a.prom": "x_a 1", "b.prom": "x_b 1\n" }],
  ["no number", { "a.prom": "x_a one\n", "b.prom": "x_b 1\n" }],
  ["no closing brace", { "a.prom": 'x_a{b="1" 1\n' }],
  ["no closing quote", { "a.prom": 'x_a{b="1} 1\n' }],
  ["a name with a dash", { "a.prom": "x-a 1\n" }],
  ["a name that begins with a digit", { "a.prom": "1x 1\n" }],
  ["two types of one name", { "a.prom": "# TYPE x_a gauge\n# TYPE x_a counter\nx_a 1\n" }],
  ["an unknown type", { "a.prom": "# TYPE x_a number\nx_a 1\n" }],
  ["a type after the values", { "a.prom": "x_a 1\n# TYPE x_a gauge\n" }],
  ["two helps of one name", { "a.prom": "# HELP x_a one\n# HELP x_a two\nx_a 1\n" }],
  ["a label twice", { "a.prom": 'x_a{b="1",b="2"} 1\n' }],
  ["a label of the reserved kind", { "a.prom": 'x_a{__name__="y"} 1\n' }],
  ["carriage returns", { "a.prom": "x_a 1\r\n" }],
  ["no UTF-8", { "a.prom": new Uint8Array([...Buffer.from('x_a{b="'), 0xff, 0xfe, ...Buffer.from('"} 1\n')]) }],
  ["half a HELP", { "a.prom": "# HELP\nx_a 1\n" }],
  ["a TYPE without a type", { "a.prom": "# TYPE x_a\nx_a 1\n" }],
  ["a histogram without buckets", { "a.prom": "# TYPE x_h histogram\nx_h_sum 1\nx_h_count 2\n" }],
  ["a quantile that is no number", { "a.prom": '# TYPE x_s summary\nx_s{quantile="half"} 1\n' }],
];

const own = /^(# (HELP|TYPE) )?(x[_-]|1x|node_textfile_|probe_)/;
const linesOf = (page: string): string[] => page.split("\n").filter((line) => own.test(line));

test.skipIf(noPeer)(
  "text files give the lines that node_exporter makes of them",
  async () => {
    using workspace = createWorkspace();
    const differences: string[] = [];
    for (const [index, [what, files]] of same.entries()) {
      const directory = workspace.file(`case-${String(index).padStart(2, "0")}`);
      put(directory, files);
      await using theirs = await startNodeExporter(flagsFor(directory));
      await using ours = await startDaemon({ workspace, flags: flagsFor(directory) });
      const expected = linesOf(await (await theirs.get("/metrics")).text());
      const got = linesOf(await ours.page());
      for (const line of expected.filter((candidate) => !got.includes(candidate)))
        differences.push(`${what}: - ${line}`);
      for (const line of got.filter((candidate) => !expected.includes(candidate)))
        differences.push(`${what}: + ${line}`);
      if (differences.length === 0) expect(got).toEqual(expected);
    }
    expect(differences).toEqual([]);
  },
  300_000,
);

const flagsFor = (directory: string): string[] => [
  ...["--collector.disable-defaults", "--collector.textfile", `--collector.textfile.directory=${directory}`],
];

function put(directory: string, files: Files): void {
  mkdirSync(directory);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(`${directory}/${name}`), { recursive: true });
    writeFileSync(`${directory}/${name}`, content);
    utimesSync(`${directory}/${name}`, 1_700_000_000.9, 1_700_000_000.9);
  }
}

/** node_exporter says nothing of these; which of two values wins differs from scrape to scrape. */
test.each([
  ["has the name of a built-in metric", { "a.prom": "node_load1 99\nx_ok 1\n" }, ["x_ok 1"]],
  ["has the name of the collector's own", { "a.prom": "node_textfile_mtime_seconds 1\nx_ok 1\n" }, ["x_ok 1"]],
  [
    "has another type in another file",
    { "a.prom": "# TYPE x_a gauge\nx_a 1\n", "b.prom": "# TYPE x_a counter\nx_a 2\n" },
    ["x_a 1"],
  ],
  [
    "has another help in another file",
    { "a.prom": '# HELP x_a one\nx_a{f="a"} 1\n', "b.prom": '# HELP x_a two\nx_a{f="b"} 2\n' },
    ['x_a{f="a"} 1'],
  ],
] as const)("a metric that %s is left out and flagged", async (_what, files, kept) => {
  using workspace = createWorkspace();
  const directory = workspace.file("textfiles");
  put(directory, files as Files);
  const flags = [`--collector.textfile.directory=${directory}`];
  await using daemon = await startDaemon({ workspace, flags, expectedErrors: [/names that are taken/] });
  for (let scrape = 0; scrape < 3; scrape++) {
    const page = await daemon.page();
    expect(page).not.toContain("\nnode_load1 99\n");
    expect(seriesValue(page, "node_textfile_scrape_error")).toBe(1);
    expect(linesOf(page).filter((line) => line.startsWith("x_"))).toEqual([...kept]);
  }
});
