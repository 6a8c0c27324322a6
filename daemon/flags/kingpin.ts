import { readFileSync } from "node:fs";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { describeError } from "../../runtime/log.ts";

/** What the parser has to know of a flag. */
export interface FlagShape {
  readonly name: string;
  readonly kind: string;
  readonly repeatable: boolean;
}

export interface ParsedFlag<F extends FlagShape> {
  readonly flag: F;
  /** As written; "true" or "false" of a boolean. */
  readonly values: readonly string[];
}

export interface ParsedFlags<F extends FlagShape> {
  readonly flags: ReadonlyMap<string, ParsedFlag<F>>;
  /** What is wrong with the command line. Kept apart, because --version and --help-long win over what follows them. */
  readonly error: ExitError | undefined;
}

interface Token {
  readonly type: "argument" | "long" | "short" | "end";
  readonly value: string;
}

/** An error of node_exporter's command line ends with 1, as there; the texts are those of its parser, kingpin v2. */
export function flagError(message: string, cause?: unknown): ExitError {
  return new ExitError(ExitCode.failure, `error: ${message}, try --help`, cause === undefined ? undefined : { cause });
}

/**
 * Splits the command line as kingpin does: `--flag=value` and `--flag value`, `--no-flag` for booleans, `@file` for
 * one argument a line, and nothing twice that is not a list.
 */
export function parseFlags<F extends FlagShape>(
  argv: readonly string[],
  known: ReadonlyMap<string, F>,
): ParsedFlags<F> {
  const flags = new Map<string, ParsedFlag<F>>();
  const lexer = createLexer(argv);
  try {
    for (let token = lexer.next(); token.type !== "end"; token = lexer.next()) {
      if (token.type === "argument") throw flagError(`unexpected ${token.value}`);
      if (token.type === "short" && token.value !== "h") throw flagError(`unknown short flag '-${token.value}'`);
      const { flag, inverted } = findFlag(token, known);
      const value = flag.kind === "boolean" ? String(!inverted) : argumentOf(lexer, token);
      const given = flags.get(flag.name)?.values ?? [];
      if (given.length > 0 && !flag.repeatable) throw flagError(`flag '${flag.name}' cannot be repeated`);
      flags.set(flag.name, { flag, values: [...given, value] });
    }
  } catch (error) {
    if (error instanceof ExitError) return { flags, error };
    throw error;
  }
  return { flags, error: undefined };
}

function findFlag<F extends FlagShape>(token: Token, known: ReadonlyMap<string, F>): { flag: F; inverted: boolean } {
  const name = token.type === "short" ? "help" : token.value;
  const flag = known.get(name);
  if (flag !== undefined) return { flag, inverted: false };
  const positive = name.startsWith("no-") ? known.get(name.slice(3)) : undefined;
  if (positive === undefined || positive.kind !== "boolean") throw flagError(`unknown long flag '--${name}'`);
  return { flag: positive, inverted: true };
}

function argumentOf(lexer: Lexer, { value }: Token): string {
  const argument = lexer.next();
  if (argument.type !== "argument") throw flagError(`expected argument for flag '--${value}'`);
  return argument.value;
}

interface Lexer {
  next(): Token;
}

function createLexer(argv: readonly string[]): Lexer {
  const rest = [...argv];
  let value: string | undefined;
  let argumentsOnly = false;
  const next = (): Token => {
    if (value !== undefined) {
      const token: Token = { type: "argument", value };
      value = undefined;
      return token;
    }
    const text = rest.shift();
    if (text === undefined) return { type: "end", value: "" };
    if (argumentsOnly) return { type: "argument", value: text };
    if (text === "--") {
      argumentsOnly = true;
      return next();
    }
    if (text.startsWith("--")) {
      // What follows the equals sign is an argument, whatever it begins with: that is how kingpin takes
      // `--web.max-requests=-1`, and how it refuses `--collector.cpu=true`.
      const equals = text.indexOf("=");
      if (equals >= 0) value = text.slice(equals + 1);
      return { type: "long", value: text.slice(2, equals < 0 ? undefined : equals) };
    }
    if (text === "-") return { type: "argument", value: "" };
    if (text.startsWith("-")) {
      if (text.length > 2) rest.unshift(`-${text.slice(2)}`);
      return { type: "short", value: text.charAt(1) };
    }
    if (text.startsWith("@")) {
      rest.unshift(...readArguments(text.slice(1)));
      return next();
    }
    return { type: "argument", value: text };
  };
  return { next };
}

function readArguments(file: string): string[] {
  if (file === "") throw flagError("expected @ file to expand arguments from");
  try {
    const lines = readFileSync(file, "utf8").split(/\r?\n/);
    return lines.filter((line) => !line.startsWith("#") && line.trim() !== "");
  } catch (error) {
    throw flagError(`failed to open arguments file ${JSON.stringify(file)}: ${String(describeError(error))}`, error);
  }
}
