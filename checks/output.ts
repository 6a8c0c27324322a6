import type { MetricFamily, MetricType, Sample } from "../collectors/collector.ts";
import { OutputError, parseTextLine, type TextLine } from "./text-format.ts";

export interface OutputRules {
  /** Becomes the `check` label of every series. */
  readonly check: string;
  readonly maxSeries: number;
}

const maxNameLength = 128;
const maxLabels = 12;
const maxLabelValueBytes = 256;
const maxHelpLength = 512;

/** Names that other parts of the page, Prometheus or well-known exporters own: a check must not be able to forge them. */
const reservedPrefixes = ["aami_", "node_", "DCGM_", "smartctl_", "scrape_", "promhttp_"];
/** Of `process_*` only what exporters say about themselves: `process_running` is a fine name for a check. */
const reservedNames =
  /^(?:up|ALERTS|ALERTS_FOR_STATE|process_(?:cpu|open|max|virtual|resident|start|network|heap)_[a-z_]*)$/;
/** `check` is set by the daemon, the others by Prometheus; a script that sets them claims to be somebody else. */
const reservedLabels = new Set(["check", "instance", "job"]);

interface Draft {
  readonly name: string;
  type: MetricType | undefined;
  help: string | undefined;
  readonly samples: Sample[];
}

/**
 * What a check printed, as families ready for the page: every series with the `check` label, so two checks can never
 * publish the same one. All or nothing: the first fault refuses the whole output with an OutputError, because a part
 * chosen by chance would look like a complete answer.
 */
export function parseOutput(bytes: Uint8Array, rules: OutputRules): MetricFamily[] {
  const drafts = new Map<string, Draft>();
  const seen = new Set<string>();
  for (const [index, line] of decode(bytes).split("\n").entries()) {
    try {
      const parsed = parseTextLine(line);
      if (parsed.kind === "end") break;
      if (parsed.kind !== "nothing") addLine(drafts, seen, parsed, rules);
    } catch (error) {
      throw error instanceof OutputError ? error.at(index + 1) : error;
    }
  }
  return [...drafts.values()].filter(({ samples }) => samples.length > 0).map((draft) => toFamily(draft, rules.check));
}

export function countSeries(families: readonly MetricFamily[]): number {
  return families.reduce((sum, { samples }) => sum + samples.length, 0);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new OutputError("encoding", "the output is not UTF-8");
  }
}

function addLine(
  drafts: Map<string, Draft>,
  seen: Set<string>,
  line: Exclude<TextLine, { kind: "nothing" | "end" }>,
  rules: OutputRules,
): void {
  assertName(line.name);
  if (line.kind === "sample") {
    addSample(drafts, seen, line, rules);
    return;
  }
  const draft = draftOf(drafts, line.name);
  if (line.kind === "help") {
    if (draft.help !== undefined && draft.help !== line.help) {
      throw new OutputError("type", `two different HELP lines for ${line.name}`);
    }
    draft.help = line.help;
    return;
  }
  if (draft.type !== undefined && draft.type !== line.type) {
    throw new OutputError("type", `${line.name} is said to be ${draft.type} and ${line.type}`);
  }
  if (draft.type === undefined && draft.samples.length > 0) {
    throw new OutputError("type", `TYPE of ${line.name} comes after its samples`);
  }
  draft.type = line.type;
}

function draftOf(drafts: Map<string, Draft>, name: string): Draft {
  const known = drafts.get(name);
  if (known !== undefined) return known;
  const draft: Draft = { name, type: undefined, help: undefined, samples: [] };
  drafts.set(name, draft);
  return draft;
}

function addSample(
  drafts: Map<string, Draft>,
  seen: Set<string>,
  { name, labels, value }: Extract<TextLine, { kind: "sample" }>,
  { check, maxSeries }: OutputRules,
): void {
  const kept = readLabels(labels);
  const series = `${name}${JSON.stringify(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
  if (seen.has(series)) throw new OutputError("duplicate", `the same series twice: ${name}`);
  seen.add(series);
  if (seen.size > maxSeries) throw new OutputError("too_many", `more than ${maxSeries} series`);
  const { draft, suffix } = ownerOf(drafts, name);
  const sample = { labels: { ...kept, check }, value };
  draft.samples.push(suffix === undefined ? sample : { ...sample, suffix });
}

/** `x_bucket`, `x_sum` and `x_count` belong to `x` if that was declared a histogram or summary before. */
function ownerOf(drafts: Map<string, Draft>, name: string): { draft: Draft; suffix: Sample["suffix"] | undefined } {
  for (const suffix of ["_bucket", "_sum", "_count"] as const) {
    const parent = name.endsWith(suffix) ? drafts.get(name.slice(0, -suffix.length)) : undefined;
    if (parent?.type === "histogram" || (parent?.type === "summary" && suffix !== "_bucket")) {
      return { draft: parent, suffix };
    }
  }
  return { draft: draftOf(drafts, name), suffix: undefined };
}

function assertName(name: string): void {
  if (name.length > maxNameLength) throw new OutputError("too_long", `metric name of ${name.length} characters`);
  const prefix = reservedPrefixes.find((reserved) => name.startsWith(reserved));
  if (prefix !== undefined)
    throw new OutputError("reserved_name", `${name}: names beginning with ${prefix} are reserved`);
  if (reservedNames.test(name)) throw new OutputError("reserved_name", `${name} is reserved`);
}

function readLabels(labels: ReadonlyMap<string, string>): Record<string, string> {
  if (labels.size > maxLabels) throw new OutputError("too_many", `more than ${maxLabels} labels`);
  const kept: Record<string, string> = {};
  for (const [label, value] of labels) {
    if (label.startsWith("__") || reservedLabels.has(label)) {
      throw new OutputError("reserved_label", `the label ${label} is reserved`);
    }
    if (label.length > maxNameLength || Buffer.byteLength(value) > maxLabelValueBytes) {
      throw new OutputError("too_long", `label ${label.slice(0, 40)} is too long`);
    }
    // To Prometheus an empty label is one that is not there.
    if (value !== "") kept[label] = printable(value);
  }
  return kept;
}

/** C0 and C1 control characters (terminal escapes) replaced; line feeds stay, the encoder escapes them. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}

function toFamily(draft: Draft, check: string): MetricFamily {
  const { name, samples, type = "untyped" } = draft;
  if (type === "histogram") assertHistogram(draft);
  if (type === "summary") assertSummary(draft);
  const help = printable(draft.help ?? "").slice(0, maxHelpLength);
  return { name, help: help === "" ? `Reported by the check ${check}.` : help, type, samples };
}

function assertHistogram({ name, samples }: Draft): void {
  const complete = new Set<string>();
  const all = new Set<string>();
  for (const { labels, suffix } of samples) {
    if (suffix === undefined) throw new OutputError("type", `${name} is a histogram but has a plain sample`);
    const { le, ...rest } = labels;
    const key = JSON.stringify(Object.entries(rest).sort());
    all.add(key);
    if (suffix !== "_bucket") continue;
    if (le === undefined || (le !== "+Inf" && !Number.isFinite(Number(le)))) {
      throw new OutputError("type", `a bucket of ${name} has no usable label le`);
    }
    if (le === "+Inf") complete.add(key);
  }
  if (complete.size < all.size) throw new OutputError("type", `histogram ${name} has no bucket le="+Inf"`);
}

function assertSummary({ name, samples }: Draft): void {
  for (const { labels, suffix } of samples) {
    if (suffix === undefined && !Number.isFinite(Number(labels["quantile"] ?? Number.NaN))) {
      throw new OutputError("type", `a sample of the summary ${name} has no usable label quantile`);
    }
  }
}
