import type { Static, TSchema } from "@sinclair/typebox";
import { type ValueError, ValueErrorType } from "@sinclair/typebox/value";
import { readFileSync } from "node:fs";
import { type Document, isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { ExitCode, ExitError } from "./exit.ts";
import { fillDefaults } from "./defaults.ts";
import { expectationOf } from "./expectation.ts";
import { describeError } from "./log.ts";
import { closest } from "./suggest.ts";

const maxFileBytes = 1 << 20;

/** One thing wrong with a configuration file; `toString` is what an operator reads. */
export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** All problems of one file, as "file:line:column: message" lines. Exit code 78 when it ends a command. */
export class ConfigError extends ExitError {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
    super(ExitCode.badConfiguration, lines.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Reads a file whose content `schema` describes. `missing: "empty"` takes an absent file for an empty one. */
export function readConfigFile<Schema extends TSchema>(
  schema: Schema,
  file: string,
  { missing = "error" }: { missing?: "error" | "empty" } = {},
): Static<Schema> {
  return parseConfig(schema, readConfigText(file, missing), file);
}

function readConfigText(file: string, missing: "error" | "empty"): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" && missing === "empty") return "";
    const reason = String(describeError(error));
    throw new ExitError(ExitCode.badConfiguration, `${file}: cannot be read: ${reason}`, { cause: error });
  }
  if (bytes.length <= maxFileBytes) return bytes.toString("utf8");
  throw new ExitError(
    ExitCode.badConfiguration,
    `${file}: ${bytes.length} bytes, more than the ${maxFileBytes} allowed`,
  );
}

/**
 * YAML text to a value of `schema` with its defaults filled in. Types are not bent ("yes" is no boolean); unknown and
 * repeated keys are errors; `bend` is for a format that other programs read otherwise. The keyword `expects` says in a message what a pattern stands for. A property with `secret: true` in its schema is never repeated in a message.
 */
export function parseConfig<Schema extends TSchema>(
  schema: Schema,
  text: string,
  file: string,
  bend: (schema: TSchema, given: unknown) => unknown = (_, given) => given,
): Static<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => ({ ...at(error.pos[0]), message: error.message })),
    );
  }
  const { value, faults } = fillDefaults(schema, bend(schema, contentOf(document, file) ?? {}));
  const problems = faults
    .filter((error, index, all) => all.findIndex((other) => other.path === error.path) === index)
    .map((error) => ({ ...at(offsetOf(document, error)), message: describe(error) }));
  if (problems.length > 0) throw new ConfigError(file, problems);
  return value as Static<Schema>;
}

function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // An alias (*name) without its anchor, or aliases that would grow beyond all measure.
    throw new ExitError(ExitCode.badConfiguration, `${file}: ${String(describeError(error))}`, { cause: error });
  }
}

const keysOf = (error: ValueError): string[] =>
  error.path
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));

/** Where the reader should look: an unknown key at the key itself, anything else at its value or nearest parent. */
function offsetOf(document: Document, error: ValueError): number {
  const keys = keysOf(error);
  for (let depth = keys.length; depth > 0; depth--) {
    const parent = document.getIn(keys.slice(0, depth - 1).map(toIndex), true);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === keys[depth - 1]);
      if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0] ?? 0;
    }
    const node = document.getIn(keys.slice(0, depth).map(toIndex), true) as { range?: [number] } | undefined;
    if (node?.range !== undefined) return node.range[0];
  }
  return 0;
}

const toIndex = (key: string): string | number => (/^\d+$/.test(key) ? Number(key) : key);

function describe(error: ValueError): string {
  const keys = keysOf(error);
  const name = keys.join(".");
  if (error.type === ValueErrorType.ObjectAdditionalProperties) return describeUnknownKey(error, keys);
  if (error.type === ValueErrorType.ObjectRequiredProperty) return `${name} is missing`;
  const found = error.schema["secret"] === true ? "" : `, found ${shorten(error.value)}`;
  const expected = expectationOf(error);
  return `${name === "" ? "the file" : name}: ${expected}${found}`;
}

function describeUnknownKey(error: ValueError, keys: readonly string[]): string {
  const key = keys.at(-1) ?? "";
  const section = keys.slice(0, -1).join(".");
  const known = Object.keys((error.schema["properties"] as Record<string, unknown> | undefined) ?? {});
  const suggestion = closest(key, known);
  const where = section === "" ? "" : ` in ${section}`;
  const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return `unknown key "${key}"${where}${hint}`;
}

function shorten(value: unknown): string {
  // JSON has no word for .inf and .nan
  const text = value === undefined ? "nothing" : typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
