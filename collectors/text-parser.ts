import { isUtf8 } from "node:buffer";
import type { MetricType } from "./collector.ts";

/** One series of a counter, gauge or untyped family. */
export interface PlainMetric {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A histogram or summary of one label set; `parts` are its buckets or quantiles by upper bound or quantile. */
export interface CompoundMetric {
  readonly labels: Readonly<Record<string, string>>;
  readonly parts: Map<number, number>;
  sum: number;
  count: number;
}

export interface TextFamily {
  readonly name: string;
  help: string | undefined;
  type: MetricType;
  /** Whether the file has a TYPE line for it. */
  typed: boolean;
  readonly plain: PlainMetric[];
  readonly compound: Map<string, CompoundMetric>;
}

export class TextFormatError extends Error {
  override readonly name = "TextFormatError";
}

/**
 * The Prometheus text format 0.0.4 as node_exporter's textfile collector reads it: one fault refuses the whole file,
 * and so does a timestamp. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function parseTextFormat(bytes: Buffer): TextFamily[] {
  const text = isUtf8(bytes) ? bytes.toString("utf8") : decodeLines(bytes);
  const parser = createParser();
  let number = 1;
  for (let start = 0; start < text.length; number++) {
    const end = text.indexOf("\n", start);
    const line = text.slice(start, end < 0 ? undefined : end);
    try {
      if (end < 0 && skipBlanks(line, 0) < line.length) throw new TextFormatError("no newline at the end of the file");
      parser.line(line);
    } catch (error) {
      throw new TextFormatError(`line ${number}`, { cause: error });
    }
    start = end < 0 ? text.length : end + 1;
  }
  return parser.families();
}

/** A remark or HELP text in another encoding is no fault: what cannot be read there becomes U+FFFD. */
function decodeLines(bytes: Buffer): string {
  const lines = bytes.toString("latin1").split("\n");
  const decoded = lines.map((line, index) => {
    const raw = Buffer.from(line, "latin1");
    if (!isUtf8(raw) && line[skipBlanks(line, 0)] !== "#") throw new TextFormatError(`line ${index + 1}: not UTF-8`);
    return raw.toString("utf8");
  });
  return decoded.join("\n");
}

interface Parser {
  line(line: string): void;
  families(): TextFamily[];
}

function createParser(): Parser {
  const byName = new Map<string, TextFamily>();
  const familyOf = (name: string): TextFamily => {
    let family = findFamily(byName, name);
    if (family === undefined) {
      family = { name, help: undefined, type: "untyped", typed: false, plain: [], compound: new Map() };
      byName.set(name, family);
    }
    return family;
  };
  return {
    line: (line) => {
      const start = skipBlanks(line, 0);
      if (start === line.length) return;
      if (line[start] === "#") readComment(line.slice(start), familyOf);
      else readSample(line, start, familyOf);
    },
    families: () => [...byName.values()].filter(({ plain, compound }) => plain.length > 0 || compound.size > 0),
  };
}

/** `x_sum` belongs to `x` when that is a summary or histogram already, and to a family of its own otherwise. */
function findFamily(byName: ReadonlyMap<string, TextFamily>, name: string): TextFamily | undefined {
  const exact = byName.get(name);
  if (exact !== undefined) return exact;
  const base = byName.get(name.replace(/_(sum|count|bucket)$/, ""));
  if (base?.type === "histogram") return base;
  return base?.type === "summary" && !name.endsWith("_bucket") ? base : undefined;
}

const comment = /^#[ \t]*(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)?(.*)$/s;
const types: readonly string[] = ["counter", "gauge", "untyped", "histogram", "summary"] satisfies MetricType[];

function readComment(line: string, familyOf: (name: string) => TextFamily): void {
  const match = comment.exec(line);
  if (match === null) return;
  const [, keyword, name = "", after = ""] = match;
  if (after === "") return;
  if (name === "" || !/^[ \t]/.test(after)) throw new TextFormatError("invalid metric name in a comment");
  const family = familyOf(name);
  const rest = after.slice(skipBlanks(after, 0));
  if (rest === "") return;
  if (keyword === "HELP") {
    if (family.help !== undefined) throw new TextFormatError(`second HELP line of ${name}`);
    family.help = unescape(rest, "\\n");
    return;
  }
  const type = rest.toLowerCase();
  if (!isMetricType(type)) throw new TextFormatError(`unknown type ${JSON.stringify(rest)}`);
  if (family.typed || family.plain.length > 0 || family.compound.size > 0) {
    throw new TextFormatError(`second TYPE line of ${name}, or TYPE after its samples`);
  }
  family.typed = true;
  family.type = type;
}

function isMetricType(text: string): text is MetricType {
  return types.includes(text);
}

function readSample(line: string, start: number, familyOf: (name: string) => TextFamily): void {
  const nameEnd = endOfName(line, start, true);
  if (nameEnd === start) throw new TextFormatError("invalid metric name");
  const name = line.slice(start, nameEnd);
  const family = familyOf(name);
  const label = { family, own: Object.create(null) as Record<string, string>, part: undefined as number | undefined };
  let at = skipBlanks(line, nameEnd);
  if (line[at] === "{") at = skipBlanks(line, readLabels(line, at + 1, label));
  else if (at === nameEnd) throw new TextFormatError(`no value after ${name}`);
  const valueEnd = endOfWord(line, at);
  const value = parseFloatStrictly(line.slice(at, valueEnd));
  // A blank after the value announces a timestamp, and no file with one is taken.
  if (valueEnd < line.length) {
    const timestamp = /^[+-]?[0-9]+$/.test(line.slice(skipBlanks(line, valueEnd)));
    throw new TextFormatError(timestamp ? "timestamps are not supported" : "unexpected text after the value");
  }
  if (family.type !== "histogram" && family.type !== "summary") family.plain.push({ labels: label.own, value });
  else addPart(family, { name, value, ...label });
}

interface Part {
  readonly name: string;
  readonly value: number;
  readonly own: Readonly<Record<string, string>>;
  /** The value of `le` or `quantile`. */
  readonly part: number | undefined;
}

function addPart(family: TextFamily, { name, value, own, part }: Part): void {
  const key = JSON.stringify(Object.entries(own).sort());
  let metric = family.compound.get(key);
  if (metric === undefined) family.compound.set(key, (metric = { labels: own, parts: new Map(), sum: 0, count: 0 }));
  // Counts are whole numbers: a fraction is cut off.
  if (name === `${family.name}_count`) metric.count = Math.trunc(value);
  else if (name === `${family.name}_sum`) metric.sum = value;
  else if (part !== undefined) metric.parts.set(part, family.type === "histogram" ? Math.trunc(value) : value);
}

interface LabelTarget {
  readonly family: TextFamily;
  readonly own: Record<string, string>;
  part: number | undefined;
}

/** Reads from behind the opening brace and returns the position behind the closing one. */
function readLabels(line: string, start: number, target: LabelTarget): number {
  const special = target.family.type === "histogram" ? "le" : target.family.type === "summary" ? "quantile" : undefined;
  let at = skipBlanks(line, start);
  while (line[at] !== "}") {
    const nameEnd = endOfName(line, at, false);
    const name = line.slice(at, nameEnd);
    if (name === "" || name.startsWith("__")) throw new TextFormatError(`invalid label name ${name}`);
    const equals = skipBlanks(line, nameEnd);
    const quote = skipBlanks(line, equals + 1);
    if (line[equals] !== "=" || line[quote] !== '"') throw new TextFormatError(`no quoted value of label ${name}`);
    const valueEnd = endOfQuoted(line, quote + 1);
    const value = unescape(line.slice(quote + 1, valueEnd), '\\n"');
    if (name === special) target.part = parseFloatStrictly(value);
    else if (name in target.own) throw new TextFormatError(`label ${name} is given twice`);
    else target.own[name] = value;
    at = skipBlanks(line, valueEnd + 1);
    if (line[at] === ",") at = skipBlanks(line, at + 1);
    else if (line[at] !== "}") throw new TextFormatError(`unexpected text after label ${name}`);
  }
  return at + 1;
}

function endOfQuoted(line: string, start: number): number {
  let end = line.indexOf('"', start);
  for (; end >= 0; end = line.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (line[end - 1 - backslashes] === "\\" && end - 1 - backslashes >= start) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  throw new TextFormatError("a label value does not end");
}

function unescape(text: string, allowed: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(.?)/gs, (_all, char: string) => {
    if (char === "" || !allowed.includes(char)) throw new TextFormatError(`invalid escape sequence \\${char}`);
    return char === "n" ? "\n" : char;
  });
}

const decimal = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

function parseFloatStrictly(text: string): number {
  const value = decimal.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(value)) return value;
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  throw new TextFormatError(`not a number: ${JSON.stringify(text)}`);
}

function skipBlanks(line: string, start: number): number {
  let at = start;
  for (let code = line.charCodeAt(at); code === 32 || code === 9; code = line.charCodeAt(at)) at++;
  return at;
}

function endOfWord(line: string, start: number): number {
  let at = start;
  for (let code = line.charCodeAt(at); at < line.length && code !== 32 && code !== 9; code = line.charCodeAt(at)) at++;
  return at;
}

function endOfName(line: string, start: number, colons: boolean): number {
  let at = start;
  for (; at < line.length; at++) {
    const code = line.charCodeAt(at);
    const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || (colons && code === 58);
    if (!letter && (at === start || code < 48 || code > 57)) break;
  }
  return at;
}
