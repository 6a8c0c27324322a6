import { codeOf, complement, encodeRanges, literal, perlClasses, posixClasses } from "./pattern-classes.ts";

/**
 * Regular expressions of flags and configuration are written in Go's RE2 syntax, because node_exporter's are. This
 * translates them to JavaScript: an unanchored search over code points, ASCII classes, no look-around. Reference:
 * https://github.com/google/re2/wiki/Syntax
 */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/** `what` names the flag or the configuration key in the message. Use `.test()`: the result has no state. */
export function compilePattern(text: string, what: string): RegExp {
  try {
    return new RegExp(translate(text), "v");
  } catch (error) {
    const reason = error instanceof PatternError ? error.message : "not a valid regular expression";
    throw new PatternError(`${what}: cannot use the regular expression ${JSON.stringify(text)}: ${reason}`, {
      cause: error,
    });
  }
}

const controlEscapes: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  readonly ungreedy: boolean;
}

const noFlags: Flags = { ignoreCase: false, multiLine: false, dotAll: false, ungreedy: false };

interface Scanner {
  readonly chars: readonly string[];
  at: number;
}

function translate(text: string): string {
  const scanner: Scanner = { chars: [...text], at: 0 };
  const translated = alternatives(scanner, noFlags);
  if (scanner.at < scanner.chars.length) throw new PatternError("unexpected )");
  return translated;
}

/** Everything up to the closing parenthesis (left for the caller) or the end. */
function alternatives(scanner: Scanner, outer: Flags): string {
  let flags = outer;
  // (?i) holds until the end of its group, over "|" too: the rest becomes a group of its own, closed at the end.
  let closing = "";
  let translated = "";
  for (;;) {
    const char = scanner.chars[scanner.at];
    if (char === undefined || char === ")") return translated + closing;
    if (char === "|") {
      scanner.at++;
      translated += closing + "|" + reopen(closing, flags);
      continue;
    }
    const switched = inlineFlags(scanner, flags);
    if (switched !== undefined) {
      flags = switched;
      translated += closing;
      closing = flags.ignoreCase === outer.ignoreCase ? "" : ")";
      translated += reopen(closing, flags);
      continue;
    }
    const quoted = literalRun(scanner);
    if (quoted !== undefined) {
      // A repetition after \E belongs to the last quoted character alone.
      translated += quoted.slice(0, -1).map(literal).join("");
      const last = quoted.at(-1);
      if (last !== undefined) translated += repetition(scanner, literal(last), flags);
      continue;
    }
    translated += repetition(scanner, atom(scanner, flags), flags);
  }
}

function reopen(closing: string, { ignoreCase }: Flags): string {
  if (closing === "") return "";
  return ignoreCase ? "(?i:" : "(?-i:";
}

/** `(?i)` and its like, which switch flags for the rest of the group; undefined when something else stands here. */
function inlineFlags(scanner: Scanner, flags: Flags): Flags | undefined {
  const match = /^\(\?([imsU-]+)\)/.exec(ahead(scanner, 16));
  if (match === null) return undefined;
  scanner.at += match[0].length;
  return withFlags(flags, match[1] ?? "");
}

function withFlags(flags: Flags, letters: string): Flags {
  const [on = "", off = "", extra] = letters.split("-");
  if (extra !== undefined || letters.endsWith("-")) throw new PatternError(`invalid flags (?${letters})`);
  const pick = (letter: string, was: boolean): boolean => (off.includes(letter) ? false : was || on.includes(letter));
  return {
    ignoreCase: pick("i", flags.ignoreCase),
    multiLine: pick("m", flags.multiLine),
    dotAll: pick("s", flags.dotAll),
    ungreedy: pick("U", flags.ungreedy),
  };
}

function literalRun(scanner: Scanner): string[] | undefined {
  if (ahead(scanner, 2) !== "\\Q") return undefined;
  scanner.at += 2;
  const rest = scanner.chars.slice(scanner.at);
  const end = rest.findIndex((char, index) => char === "\\" && rest[index + 1] === "E");
  const quoted = end < 0 ? rest : rest.slice(0, end);
  scanner.at += quoted.length + (end < 0 ? 0 : 2);
  return quoted;
}

function atom(scanner: Scanner, flags: Flags): string {
  const char = take(scanner) ?? "";
  switch (char) {
    case "(":
      return group(scanner, flags);
    case "[":
      return characterClass(scanner);
    case ".":
      return flags.dotAll ? "[\\s\\S]" : "[^\\n]";
    case "^":
      return flags.multiLine ? "(?<![^\\n])" : "(?<![\\s\\S])";
    case "$":
      return flags.multiLine ? "(?![^\\n])" : "(?![\\s\\S])";
    case "\\":
      return escapeSequence(scanner);
    case "*":
    case "+":
    case "?":
    case "{":
      scanner.at--;
      return nothingToRepeat(scanner);
    default:
      return literal(char);
  }
}

function group(scanner: Scanner, outer: Flags): string {
  let flags = outer;
  if (scanner.chars[scanner.at] === "?") {
    const start = ahead(scanner, 64);
    const named = /^\?P?<(\w+)>/.exec(start);
    const flagged = /^\?([imsU-]*):/.exec(start);
    if (/^\?(<?[=!]|>)/.test(start))
      throw new PatternError(`look-around and atomic groups (${start.slice(0, 3)}) do not exist in RE2`);
    if (named === null && flagged === null)
      throw new PatternError(`invalid or unsupported group (${start.slice(0, 8)}`);
    if (flagged !== null && flagged[1] !== "") flags = withFlags(outer, flagged[1] ?? "");
    scanner.at += (named ?? flagged)?.[0].length ?? 0;
  }
  // Captures are never read, so every group is a plain one: names may then repeat and start with a digit.
  const modifier = flags.ignoreCase === outer.ignoreCase ? "" : flags.ignoreCase ? "i" : "-i";
  const inner = alternatives(scanner, flags);
  if (take(scanner) !== ")") throw new PatternError("missing closing )");
  return `(?${modifier}:${inner})`;
}

function repetition(scanner: Scanner, repeated: string, { ungreedy }: Flags): string {
  const operator = repetitionOperator(scanner);
  if (operator === undefined) return repeated;
  let lazy = ungreedy;
  if (scanner.chars[scanner.at] === "?") {
    scanner.at++;
    lazy = !lazy;
  }
  const again = repetitionOperator(scanner);
  if (again !== undefined) throw new PatternError(`invalid nested repetition operator: ${operator}${again}`);
  return `(?:${repeated})${operator}${lazy ? "?" : ""}`;
}

/** A repetition operator where there is nothing before it; a brace that is none stands for itself. */
function nothingToRepeat(scanner: Scanner): string {
  const operator = repetitionOperator(scanner);
  if (operator !== undefined) throw new PatternError(`missing argument to repetition operator: ${operator}`);
  return literal(take(scanner) ?? "");
}

function repetitionOperator(scanner: Scanner): string | undefined {
  const text = ahead(scanner, 16);
  // Anything else that starts with a brace is a literal brace.
  const operator = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})/.exec(text);
  if (operator === null) return undefined;
  const [whole, low, high] = operator;
  const upperBound = high === undefined || high === "" ? low : high;
  if (Number(low ?? 0) > 1000 || Number(upperBound ?? 0) > 1000 || Number(upperBound ?? 0) < Number(low ?? 0)) {
    throw new PatternError(`invalid repeat count: ${whole}`);
  }
  scanner.at += whole.length;
  return whole;
}

function escapeSequence(scanner: Scanner): string {
  const char = scanner.chars[scanner.at];
  switch (char) {
    case "A":
      scanner.at++;
      return "(?<![\\s\\S])";
    case "z":
      scanner.at++;
      return "(?![\\s\\S])";
    case "b":
    case "B":
      scanner.at++;
      return `\\${char}`;
    default: {
      const set = classEscape(scanner);
      return set === undefined ? literal(escapedChar(scanner)) : `[${set}]`;
    }
  }
}

/** `\d`, `\PL`, `\p{Greek}` after the backslash, as the inside of a JavaScript class; undefined for anything else. */
function classEscape(scanner: Scanner): string | undefined {
  const char = scanner.chars[scanner.at] ?? "";
  const perl = perlClasses[char.toLowerCase()];
  if (perl !== undefined) {
    scanner.at++;
    return encodeRanges(char === char.toLowerCase() ? perl : complement(perl));
  }
  if (char !== "p" && char !== "P") return undefined;
  const match = /^[pP](?:([A-Z])|\{(\^?)(\w+)\})/.exec(ahead(scanner, 40));
  if (match === null) throw new PatternError(`invalid character class \\${ahead(scanner, 8)}`);
  scanner.at += match[0].length;
  const [, letter, caret, long] = match;
  const negative = (char === "P") !== (caret === "^");
  return unicodeClass(letter ?? long ?? "", negative);
}

function unicodeClass(name: string, negative: boolean): string {
  const escape = negative ? "P" : "p";
  for (const property of name === "Any" ? ["Any"] : [`General_Category=${name}`, `Script=${name}`]) {
    const candidate = `\\${escape}{${property}}`;
    if (isValidJavaScript(candidate)) return candidate;
  }
  throw new PatternError(`unknown Unicode class ${name}`);
}

function isValidJavaScript(source: string): boolean {
  try {
    return new RegExp(source, "v") instanceof RegExp;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** One character written with a backslash (which has been read already). */
function escapedChar(scanner: Scanner): string {
  const text = ahead(scanner, 16);
  const hexadecimal = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(text);
  if (hexadecimal !== null) {
    scanner.at += hexadecimal[0].length;
    return fromCodePoint(Number.parseInt(hexadecimal[1] ?? hexadecimal[2] ?? "", 16));
  }
  // A single digit other than 0 would be a back-reference; with a second octal digit it is a character.
  const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(text);
  if (octal !== null) {
    scanner.at += octal[0].length;
    return fromCodePoint(Number.parseInt(octal[0], 8));
  }
  const char = take(scanner);
  if (char === undefined) throw new PatternError("trailing backslash");
  if (/[1-9]/.test(char)) throw new PatternError(`back-references (\\${char}) do not exist in RE2`);
  const control = controlEscapes[char];
  if (control !== undefined) return String.fromCodePoint(control);
  if (!/^[!-/:-@[-`{-~]$/.test(char)) throw new PatternError(`invalid escape sequence \\${char}`);
  return char;
}

function fromCodePoint(code: number): string {
  if (code > 0x10ffff) throw new PatternError("invalid character code");
  return String.fromCodePoint(code);
}

function characterClass(scanner: Scanner): string {
  const negative = scanner.chars[scanner.at] === "^";
  if (negative) scanner.at++;
  let inside = "";
  for (let first = true; ; first = false) {
    const char = scanner.chars[scanner.at];
    if (char === undefined) throw new PatternError("missing closing ]");
    if (char === "]" && !first) break;
    inside += classItem(scanner);
  }
  scanner.at++;
  return `[${negative ? "^" : ""}${inside}]`;
}

function classItem(scanner: Scanner): string {
  const posix = /^\[:(\^?)(\w+):\]/.exec(ahead(scanner, 16));
  if (posix !== null) {
    const ranges = posixClasses[posix[2] ?? ""];
    if (ranges === undefined) throw new PatternError(`invalid character class range: ${posix[0]}`);
    scanner.at += posix[0].length;
    return encodeRanges(posix[1] === "^" ? complement(ranges) : ranges);
  }
  if (scanner.chars[scanner.at] === "\\") {
    scanner.at++;
    const set = classEscape(scanner);
    if (set !== undefined) return set;
    scanner.at--;
  }
  const from = classChar(scanner);
  if (scanner.chars[scanner.at] !== "-" || [undefined, "]"].includes(scanner.chars[scanner.at + 1]))
    return literal(from);
  scanner.at++;
  const to = classChar(scanner);
  if (codeOf(to) < codeOf(from)) throw new PatternError(`invalid character class range: ${from}-${to}`);
  return `${literal(from)}-${literal(to)}`;
}

function classChar(scanner: Scanner): string {
  const char = take(scanner);
  if (char === undefined) throw new PatternError("missing closing ]");
  return char === "\\" ? escapedChar(scanner) : char;
}

function take(scanner: Scanner): string | undefined {
  const char = scanner.chars[scanner.at];
  if (char !== undefined) scanner.at++;
  return char;
}

function ahead({ chars, at }: Scanner, count: number): string {
  return chars.slice(at, at + count).join("");
}
