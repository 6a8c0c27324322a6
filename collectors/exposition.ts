import type { Labels, MetricFamily, Sample } from "./collector.ts";

/** One family in the text format 0.0.4, HELP and TYPE lines included; `duplicates` counts series left out as already seen. */
export interface EncodedFamily {
  readonly name: string;
  readonly text: string;
  readonly duplicates: number;
  /** As MetricFamily.source. */
  readonly source?: string;
}

/**
 * Families sorted by name, series by label values, label names sorted: the order of client_golang, so pages diff
 * cleanly. Families of one name are joined; the first one's help and type stand.
 */
export function encodeFamilies(families: readonly MetricFamily[]): EncodedFamily[] {
  return [...joinFamilies(families).values()].sort((a, b) => compare(a.name, b.name)).map(encodeFamily);
}

/** By name, those of one name joined, those without series left out. */
export function joinFamilies(families: readonly MetricFamily[]): Map<string, MetricFamily> {
  const byName = new Map<string, MetricFamily>();
  for (const family of families) {
    if (family.samples.length === 0) continue;
    const known = byName.get(family.name);
    byName.set(
      family.name,
      known === undefined ? family : { ...known, samples: [...known.samples, ...family.samples] },
    );
  }
  return byName;
}

function encodeFamily(family: MetricFamily): EncodedFamily {
  const { header, lines, duplicates } = layOutFamily(family);
  let text = header;
  for (const { opening, sampleIndex } of lines) {
    text += `${opening}${formatValue(family.samples[sampleIndex]?.value ?? Number.NaN)}\n`;
  }
  return toEncoded(family, text, duplicates);
}

export function toEncoded(
  { name, source }: Pick<MetricFamily, "name" | "source">,
  text: string,
  duplicates: number,
): EncodedFamily {
  return { name, text, duplicates, ...(source === undefined ? {} : { source }) };
}

/** All of a family's text but the values. */
export interface FamilyLayout {
  /** The HELP and TYPE lines. */
  readonly header: string;
  /** In the order of the page; of several samples of one series only the first has a line. */
  readonly lines: readonly LineLayout[];
  readonly duplicates: number;
}

interface LineLayout {
  /** What stands before the value, `x{a="1"} `. */
  readonly opening: string;
  readonly sampleIndex: number;
}

/** How the labels of one series are written: shared by all series with the same label names in the same order. */
interface LabelShape {
  /** As Object.keys gives them. */
  readonly keys: readonly string[];
  /** As they are written. */
  readonly names: readonly string[];
  /** What stands before each value: `{a="`, `",b="`. */
  readonly openings: readonly string[];
}

interface Row {
  readonly sample: Sample;
  readonly sampleIndex: number;
  readonly shape: LabelShape;
  readonly values: readonly string[];
}

// A page has some thousand series, hence the plain loops here.
export function layOutFamily({ name, help, type, samples }: MetricFamily): FamilyLayout {
  // client_golang writes these two behind the other labels.
  const last = type === "histogram" ? "le" : type === "summary" ? "quantile" : "";
  const rows: Row[] = [];
  let shape: LabelShape | undefined;
  let uniform = true;
  for (const [sampleIndex, sample] of samples.entries()) {
    const keys = Object.keys(sample.labels);
    if (shape === undefined || !sameTexts(shape.keys, keys)) {
      uniform = shape === undefined;
      shape = toShape(keys, last);
    }
    rows.push({ sample, sampleIndex, shape, values: toValues(shape, sample.labels) });
  }
  // A histogram's buckets and sums have an order of their own, which the source already gives.
  const sorted = type !== "histogram" && type !== "summary";
  if (sorted) rows.sort(compareRows);
  const lines: LineLayout[] = [];
  const isNew = uniform && sorted ? createNeighbourCheck() : createSetCheck();
  for (const row of rows) {
    const opening = `${name}${row.sample.suffix ?? ""}${encodeLabels(row)} `;
    if (isNew(opening)) lines.push({ opening, sampleIndex: row.sampleIndex });
  }
  const header = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
  return { header, lines, duplicates: rows.length - lines.length };
}

/** For sorted series of one shape: equal ones follow each other. */
function createNeighbourCheck(): (series: string) => boolean {
  let before = "";
  return (series) => {
    if (series === before) return false;
    before = series;
    return true;
  };
}

function createSetCheck(): (series: string) => boolean {
  const seen = new Set<string>();
  return (series) => seen.size < seen.add(series).size;
}

function toShape(keys: readonly string[], last: string): LabelShape {
  const names = keys.toSorted(compare);
  const at = last === "" ? -1 : names.indexOf(last);
  if (at >= 0) names.push(...names.splice(at, 1));
  return { keys, names, openings: names.map((name, index) => `${index === 0 ? "{" : '",'}${name}="`) };
}

function toValues({ names }: LabelShape, labels: Labels): string[] {
  const values: string[] = [];
  for (const name of names) values.push(labels[name] ?? "");
  return values;
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function encodeLabels({ shape, values }: Pick<Row, "shape" | "values">): string {
  if (values.length === 0) return "";
  let text = "";
  for (let index = 0; index < values.length; index++) {
    text += (shape.openings[index] ?? "") + escapeLabelValue(values[index] ?? "");
  }
  return `${text}"}`;
}

function compareRows({ values: a }: Row, { values: b }: Row): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let index = 0; index < a.length; index++) {
    const order = compare(a[index] ?? "", b[index] ?? "");
    if (order !== 0) return order;
  }
  return 0;
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Go's strconv.FormatFloat(v, 'g', -1, 64): shortest digits, exponent form below 1e-4 and from 1e+06 on. */
export function formatValue(value: number): string {
  const magnitude = Math.abs(value);
  // Minus zero is 0, as Go writes it.
  if (magnitude < 1e6 && (magnitude >= 1e-4 || value === 0)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (magnitude === Infinity) return value > 0 ? "+Inf" : "-Inf";
  if (Number.isSafeInteger(value)) return toExponentForm(value);
  const [mantissa = "", exponent = ""] = value.toExponential().split("e");
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** Of a whole number from 1e6 on, which most large values are; faster than toExponential. */
function toExponentForm(value: number): string {
  const digits = String(Math.abs(value));
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 0x30) end--;
  const exponent = digits.length - 1;
  const mantissa = end === 1 ? digits.slice(0, 1) : `${digits.slice(0, 1)}.${digits.slice(1, end)}`;
  return `${value < 0 ? "-" : ""}${mantissa}e+${exponent < 10 ? "0" : ""}${exponent}`;
}

/** The label block of a series, `{a="1"}` or empty; for code that appends single samples to a page. */
export function formatLabels(labels: Labels): string {
  const shape = toShape(Object.keys(labels), "");
  return encodeLabels({ shape, values: toValues(shape, labels) });
}

function escapeLabelValue(value: string): string {
  return /["\\\n]/.test(value) ? value.replace(/["\\\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`)) : value;
}

function escapeHelp(help: string): string {
  return /[\\\n]/.test(help) ? help.replace(/[\\\n]/g, (c) => (c === "\n" ? "\\n" : "\\\\")) : help;
}
