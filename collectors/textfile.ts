import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily, type Sample } from "./collector.ts";
import { formatValue } from "./exposition.ts";
import { createFamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { type CompoundMetric, parseTextFormat, type TextFamily } from "./text-parser.ts";

/** Metrics that other programs leave as NAME.prom in a folder. Each file is taken whole or not at all. */
export const textfile = defineCollector({
  name: "textfile",
  description: "Metrics from *.prom files written by other programs.",
  enabledByDefault: true,
  options: Type.Object(
    {
      directory: Type.Array(Type.String(), {
        default: [],
        flag: "collector.textfile.directory",
        path: true,
        description: "Folders to read *.prom files from; may contain glob patterns.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ directory }) => ({ collect: async (host) => collect(directory.filter(Boolean), host) }),
});

function collect(directories: readonly string[], host: Host): MetricFamily[] {
  const own = createFamilySet();
  const merger = createMerger();
  let failed = false;
  const failure = (what: string, error: unknown): void => {
    failed = true;
    host.skipped(what, error);
  };
  for (const directory of directories.flatMap(expandGlob)) {
    for (const path of listFiles(directory, failure)) {
      try {
        const { families, modifiedSeconds } = readTextfile(path);
        for (const family of families) merger.add(family, path, failure);
        const help = "Unixtime mtime of textfiles successfully read.";
        own.gauge("node_textfile_mtime_seconds", help, modifiedSeconds, { file: path });
      } catch (error) {
        failure(path, error);
      }
    }
  }
  const merged = merger.list(failure);
  const help = "1 if there was an error opening or reading a file, 0 otherwise";
  own.gauge("node_textfile_scrape_error", help, failed ? 1 : 0);
  return [...own.list(), ...merged];
}

type Failure = (what: string, error: unknown) => void;

/** A pattern that matches nothing is taken as a folder's name, which then fails to open. */
function expandGlob(pattern: string): string[] {
  if (!/[*?[\\]/.test(pattern)) return [pattern];
  const found = [
    ...new Bun.Glob(toBunGlob(pattern)).scanSync({ onlyFiles: false, absolute: pattern.startsWith("/"), dot: true }),
  ];
  return found.length === 0 ? [pattern] : found.sort();
}

/** Go's filepath.Glob has no braces and no `**`, and ^ alone turns a class round. */
function toBunGlob(pattern: string): string {
  return pattern.replace(/\\.|\*+|\[!|[{}]/gs, (part) => {
    if (part.startsWith("*")) return "*";
    if (part === "[!") return "[\\!";
    return part.length === 1 ? `\\${part}` : part;
  });
}

function listFiles(directory: string, failure: Failure): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".prom"));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    failure(directory, error);
    return [];
  }
}

const ownNames = new Set(["node_textfile_mtime_seconds", "node_textfile_scrape_error"]);
const maxFileBytes = 64 * 1024 * 1024;

interface Textfile {
  readonly families: TextFamily[];
  readonly modifiedSeconds: number;
}

function readTextfile(path: string): Textfile {
  // Without O_NONBLOCK a FIFO that someone left there would hold up the whole collection.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const before = fstatSync(file);
    if (!before.isFile()) throw new Error("not a regular file");
    if (before.size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`);
    const families = parseTextFormat(readFileSync(file));
    return { families, modifiedSeconds: Math.floor(before.mtimeMs / 1000) };
  } finally {
    closeSync(file);
  }
}

interface Merged {
  readonly head: TextFamily;
  readonly files: string[];
  readonly parts: TextFamily[];
  /** Two files disagreed about the help text; only what came before is published. */
  closed: boolean;
}

/** Joins the families of all files by name. */
function createMerger() {
  const byName = new Map<string, Merged>();
  return {
    add(family: TextFamily, path: string, failure: Failure): void {
      const known = byName.get(family.name);
      if (ownNames.has(family.name)) {
        failure(`${family.name} in ${path}`, new Error("the name belongs to the textfile collector itself"));
        return;
      }
      if (known === undefined) {
        byName.set(family.name, { head: { ...family }, files: [path], parts: [family], closed: false });
        return;
      }
      const { head } = known;
      const otherHelp = family.help !== undefined && head.help !== undefined && family.help !== head.help;
      if (otherHelp || family.type !== head.type) {
        known.closed ||= otherHelp;
        const what = otherHelp ? "help text" : "type";
        failure(`${family.name} in ${path}`, new Error(`another ${what} than in ${known.files[0]}`));
        return;
      }
      if (known.closed) return;
      head.help ??= family.help;
      known.files.push(path);
      known.parts.push(family);
    },
    list(failure: Failure): MetricFamily[] {
      const clashes = ({ head: { name, type }, files }: Merged): boolean => {
        const suffixes =
          type === "histogram" ? ["_bucket", "_sum", "_count"] : type === "summary" ? ["_sum", "_count"] : [];
        const other = suffixes.map((suffix) => name + suffix).find((part) => byName.has(part));
        if (other !== undefined) failure(`${name} in ${files[0]}`, new Error(`clashes with ${other}`));
        return other !== undefined;
      };
      return [...byName.values()].filter((merged) => !clashes(merged)).map(toFamily);
    },
  };
}

function toFamily({ head, files, parts }: Merged): MetricFamily {
  const { name, type, help = `Metric read from ${files.join(", ")}` } = head;
  const source = files.join(", ");
  if (type === "histogram" || type === "summary") {
    const metrics = parts.flatMap(({ compound }) => [...compound.values()]);
    const pad = createPadding(metrics);
    const padded = metrics.map((metric) => ({ ...metric, labels: pad(metric.labels) }));
    padded.sort((a, b) => compareLabels(a.labels, b.labels));
    return { name, type, help, source, samples: padded.flatMap((metric) => toSamples(metric, type)) };
  }
  const metrics = parts.flatMap(({ plain }) => plain);
  const pad = createPadding(metrics);
  return { name, type, help, source, samples: metrics.map(({ labels, value }) => ({ labels: pad(labels), value })) };
}

/** Every series of a family gets every label that one of them has, empty where it had none. */
function createPadding(metrics: readonly { readonly labels: Labels }[]): (labels: Labels) => Labels {
  const names = new Set(metrics.flatMap(({ labels }) => Object.keys(labels)));
  const empty = Object.fromEntries([...names].map((name) => [name, ""]));
  return (labels) => (Object.keys(labels).length === names.size ? labels : { ...empty, ...labels });
}

function compareLabels(a: Labels, b: Labels): number {
  for (const name of Object.keys(a).sort()) {
    const [left = "", right = ""] = [a[name], b[name]];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function toSamples({ labels, parts, sum, count }: CompoundMetric, type: "histogram" | "summary"): Sample[] {
  const histogram = type === "histogram";
  const bounds = new Map(parts);
  // The infinite bucket is the count, given or not.
  if (histogram && !bounds.has(Infinity)) bounds.set(Infinity, count);
  const samples: Sample[] = [...bounds]
    .sort(([a], [b]) => a - b)
    .map(([bound, value]) =>
      histogram
        ? { labels: { ...labels, le: formatValue(bound) }, value, suffix: "_bucket" }
        : { labels: { ...labels, quantile: formatValue(bound) }, value },
    );
  samples.push({ labels, value: sum, suffix: "_sum" }, { labels, value: count, suffix: "_count" });
  return samples;
}
