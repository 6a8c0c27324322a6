import type { MetricType } from "../collectors/collector.ts";

/**
 * Lines of the Prometheus text format 0.0.4, read more strictly than Prometheus does: what a check prints becomes part
 * of the node's page, so whatever could be read in two ways is refused.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export type TextLine =
  | { readonly kind: "nothing" }
  | { readonly kind: "end" }
  | { readonly kind: "help"; readonly name: string; readonly help: string }
  | { readonly kind: "type"; readonly name: string; readonly type: MetricType }
  | {
      readonly kind: "sample";
      readonly name: string;
      readonly labels: ReadonlyMap<string, string>;
      readonly value: number;
    };

export type OutputErrorReason =
  | "encoding"
  | "syntax"
  | "name"
  | "reserved_name"
  | "reserved_label"
  | "type"
  | "duplicate"
  | "timestamp"
  | "too_many"
  | "too_long"
  | "cardinality";

/** Why the output of a run is not published; `reason` is the label of aami_check_error. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  readonly reason: OutputErrorReason;

  constructor(reason: OutputErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }

  /** The same error, saying where. */
  at(line: number): OutputError {
    return new OutputError(this.reason, `line ${line}: ${this.message}`);
  }
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const types: readonly MetricType[] = ["counter", "gauge", "untyped", "histogram", "summary"];

export function parseTextLine(line: string): TextLine {
  const text = trimBlanks(line);
  if (text === "") return { kind: "nothing" };
  return text.startsWith("#") ? parseComment(text) : parseSample(text);
}

function parseComment(text: string): TextLine {
  const match = /^#[ \t]+(HELP|TYPE)[ \t]+(\S+)(?:[ \t]+(.*))?$/.exec(text);
  if (match === null) return { kind: /^#[ \t]+EOF$/.test(text) ? "end" : "nothing" };
  const [, keyword, name = "", rest = ""] = match;
  if (!metricName.test(name)) throw new OutputError("name", `not a metric name: ${quote(name)}`);
  if (keyword === "HELP") return { kind: "help", name, help: unescapeHelp(rest) };
  const type = types.find((known) => known === rest);
  if (type === undefined) throw new OutputError("type", `unknown type ${quote(rest)} of ${name}`);
  return { kind: "type", name, type };
}

function parseSample(text: string): TextLine {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(text)?.[0];
  if (name === undefined) throw new OutputError("syntax", `does not begin with a metric name: ${quote(text)}`);
  let rest = text.slice(name.length).replace(/^[ \t]+/, "");
  let labels: ReadonlyMap<string, string> = new Map();
  if (rest.startsWith("{")) ({ labels, rest } = parseLabels(rest));
  else if (rest.length === text.length - name.length) throw new OutputError("syntax", `no value: ${quote(text)}`);
  const [value = "", timestamp, ...more] = rest.split(/[ \t]+/);
  const number = parseValue(value);
  if (more.length > 0) throw new OutputError("syntax", `unexpected text after the value: ${quote(rest)}`);
  if (timestamp !== undefined) {
    throw new OutputError("timestamp", "timestamps are not accepted: the daemon says when a check ran");
  }
  return { kind: "sample", name, labels, value: number };
}

function parseLabels(text: string): { labels: ReadonlyMap<string, string>; rest: string } {
  const labels = new Map<string, string>();
  // Sticky: continues exactly where the last label ended. A trailing comma is allowed by the format.
  const pattern = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*(,|(?=\}))/y;
  pattern.lastIndex = 1;
  let end = 1;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, label = "", value = ""] = match;
    if (labels.has(label)) throw new OutputError("syntax", `label ${label} is given twice`);
    labels.set(
      label,
      value.replace(/\\(.)/g, (_all, char: string) => (char === "n" ? "\n" : char)),
    );
    end = pattern.lastIndex;
  }
  const rest = text.slice(end).replace(/^[ \t]+/, "");
  if (!rest.startsWith("}")) throw new OutputError("syntax", `cannot read the labels: ${quote(text.slice(end))}`);
  return { labels, rest: rest.slice(1).replace(/^[ \t]+/, "") };
}

const decimal = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

function parseValue(text: string): number {
  if (text === "NaN") return Number.NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const value = decimal.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new OutputError("syntax", `not a number: ${quote(text)}`);
  return value;
}

function unescapeHelp(text: string): string {
  return text.replace(/\\([\\n])/g, (_all, char: string) => (char === "n" ? "\n" : char));
}

/** Not `trim()`, which would also hide a byte order mark, a carriage return and every Unicode space. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
