import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseFlags } from "../../../daemon/flags/kingpin.ts";
import { sharedFolder } from "../../harness/workspace.ts";

const shapes = [
  { name: "help", kind: "boolean", repeatable: false },
  { name: "collector.cpu", kind: "boolean", repeatable: false },
  { name: "web.listen-address", kind: "string", repeatable: true },
  { name: "web.telemetry-path", kind: "string", repeatable: false },
];
const known = new Map(shapes.map((shape) => [shape.name, shape]));

function parse(argv: readonly string[]): { values: Record<string, readonly string[]>; error: string | undefined } {
  const { flags, error } = parseFlags(argv, known);
  const values = Object.fromEntries([...flags].map(([name, { values }]) => [name, values]));
  return { values, error: error?.message };
}

const folder = sharedFolder();
const argumentsFile = join(folder, "arguments");
writeFileSync(argumentsFile, "# a comment\n\n--web.listen-address\n:1\n--no-collector.cpu\n");

describe("kingpin's command line", () => {
  test.each([
    [[], {}],
    [["--web.telemetry-path=/m"], { "web.telemetry-path": ["/m"] }],
    [["--web.telemetry-path", "/m"], { "web.telemetry-path": ["/m"] }],
    [["--web.telemetry-path="], { "web.telemetry-path": [""] }],
    [["--web.telemetry-path=a=b"], { "web.telemetry-path": ["a=b"] }],
    [["--web.telemetry-path=-1"], { "web.telemetry-path": ["-1"] }],
    [["--web.telemetry-path=--"], { "web.telemetry-path": ["--"] }],
    [["--web.telemetry-path=@/nonexistent"], { "web.telemetry-path": ["@/nonexistent"] }],
    [["--web.telemetry-path", "-"], { "web.telemetry-path": [""] }],
    [["--web.listen-address=:1", "--web.listen-address", ":2"], { "web.listen-address": [":1", ":2"] }],
    [["--collector.cpu"], { "collector.cpu": ["true"] }],
    [["--no-collector.cpu"], { "collector.cpu": ["false"] }],
    [["-h"], { help: ["true"] }],
    [[`@${argumentsFile}`], { "web.listen-address": [":1"], "collector.cpu": ["false"] }],
  ])("%j", (argv, values) => {
    expect(parse(argv)).toEqual({ values: values as never, error: undefined });
  });

  test.each([
    [["--nonsense"], "unknown long flag '--nonsense'"],
    [["--no-nonsense"], "unknown long flag '--no-nonsense'"],
    [["--no-web.telemetry-path"], "unknown long flag '--no-web.telemetry-path'"],
    [["-x"], "unknown short flag '-x'"],
    [["-web.listen-address=:1"], "unknown short flag '-w'"],
    [["word"], "unexpected word"],
    [["--", "--collector.cpu"], "unexpected --collector.cpu"],
    [["--collector.cpu=true"], "unexpected true"],
    [["--collector.cpu=false"], "unexpected false"],
    [["--collector.cpu", "--no-collector.cpu"], "flag 'collector.cpu' cannot be repeated"],
    [["--web.telemetry-path=/a", "--web.telemetry-path=/b"], "flag 'web.telemetry-path' cannot be repeated"],
    [["--web.telemetry-path"], "expected argument for flag '--web.telemetry-path'"],
    [["--web.telemetry-path", "-1"], "expected argument for flag '--web.telemetry-path'"],
    [["--web.telemetry-path", "--collector.cpu"], "expected argument for flag '--web.telemetry-path'"],
    [["@/nonexistent/file"], 'failed to open arguments file "/nonexistent/file": '],
    [["@"], "expected @ file to expand arguments from"],
  ])("refuses %j", (argv, message) => {
    const { error } = parse(argv);
    expect(error).toStartWith(`error: ${message}`);
    expect(error).toEndWith(", try --help");
  });
});
