import { Type } from "@sinclair/typebox";
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, parseConfig, readConfigFile } from "../../runtime/config.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";

const schema = Type.Object(
  {
    scrape: Type.Object(
      {
        timeout_seconds: Type.Number({ default: 5, minimum: 0.1, maximum: 60 }),
        names: Type.Array(Type.String(), { default: [] }),
      },
      { additionalProperties: false, default: {} },
    ),
    level: Type.Union([Type.Literal("debug"), Type.Literal("info")], { default: "info" }),
    password: Type.Optional(Type.String({ minLength: 10, secret: true })),
  },
  { additionalProperties: false },
);

const problemsOf = (text: string): string[] => {
  try {
    parseConfig(schema, text, "daemon.yaml");
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
};

describe("parseConfig", () => {
  test("an empty file is all defaults", () => {
    expect(parseConfig(schema, "", "f")).toEqual({ scrape: { timeout_seconds: 5, names: [] }, level: "info" });
  });

  test.each([
    ["unknown key", "scrap:\n  x: 1\n", 'daemon.yaml:1:1: unknown key "scrap"; did you mean "scrape"?'],
    ["unknown nested key", "scrape:\n  timeout: 1\n", 'daemon.yaml:2:3: unknown key "timeout" in scrape'],
    [
      "out of range",
      "scrape:\n  timeout_seconds: 90\n",
      "daemon.yaml:2:3: scrape.timeout_seconds: expected number to be less or equal to 60, found 90",
    ],
    [
      "wrong type",
      "scrape:\n  timeout_seconds: fast\n",
      'daemon.yaml:2:3: scrape.timeout_seconds: expected number, found "fast"',
    ],
    ["wrong list item", "scrape:\n  names: [a, 1]\n", "daemon.yaml:2:14: scrape.names.1: expected string, found 1"],
    [
      "a mapping for a list",
      "scrape:\n  names: { a: b }\n",
      'daemon.yaml:2:3: scrape.names: expected array, found {"a":"b"}',
    ],
    ["a list for a mapping", "scrape: []\n", "daemon.yaml:1:1: scrape: expected object, found []"],
    [
      "endless",
      "scrape:\n  timeout_seconds: .inf\n",
      "daemon.yaml:2:3: scrape.timeout_seconds: expected number, found Infinity",
    ],
    ["not one of", "level: loud\n", 'daemon.yaml:1:1: level: expected one of "debug", "info", found "loud"'],
    ["not a mapping", "just text\n", 'daemon.yaml:1:1: the file: expected object, found "just text"'],
    [
      "a secret is not repeated",
      "password: hunter2\n",
      "daemon.yaml:1:1: password: expected string length greater or equal to 10",
    ],
  ])("%s", (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  test.each([
    ["repeated key", "level: info\nlevel: debug\n", /^daemon\.yaml:2:1: .*unique/],
    ["bad indentation", "scrape:\n  names: [a\nlevel: info\n", /^daemon\.yaml:\d+:\d+: /],
  ])("%s", (_, text, expected) => {
    expect(problemsOf(text)[0]).toMatch(expected);
  });

  test("an alias without its anchor ends with 78", () => {
    const read = (): unknown => parseConfig(schema, "level: *there\n", "daemon.yaml");
    expect(read).toThrow(
      new ExitError(
        ExitCode.badConfiguration,
        "daemon.yaml: Unresolved alias (the anchor must be set before the alias): there",
      ),
    );
  });

  test("every problem is reported, each once", () => {
    expect(problemsOf("level: loud\nother: 1\n")).toHaveLength(2);
  });
});

describe("readConfigFile", () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-config-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("a missing file may count as an empty one", () => {
    expect(readConfigFile(schema, join(folder, "none.yaml"), { missing: "empty" }).level).toBe("info");
  });

  test.each([
    ["missing", "none.yaml", /cannot be read: ENOENT/],
    ["a folder", ".", /cannot be read: EISDIR/],
    ["too large", "large.yaml", /more than the 1048576 allowed/],
  ])("%s ends with 78", (_, name, expected) => {
    writeFileSync(join(folder, "large.yaml"), "#".repeat((1 << 20) + 1));
    const read = (): unknown => readConfigFile(schema, join(folder, name));
    expect(read).toThrow(expected);
    expect(read).toThrow(ExitError);
    try {
      read();
    } catch (error) {
      expect((error as ExitError).exitCode).toBe(ExitCode.badConfiguration);
    }
  });
});
