import type { Labels, MetricFamily } from "./collector.ts";
import {
  compare,
  type EncodedFamily,
  encodeFamilies,
  formatValue,
  joinFamilies,
  layOutFamily,
  toEncoded,
} from "./exposition.ts";

/**
 * encodeFamilies for a source that is asked again and again, with much the same answer. From call to call it keeps the
 * text of each series and makes anew what has changed, which is mostly a few values. A family that is not in a call is
 * forgotten with it, so the memory is about that of one answer, whatever the answers before it were.
 */
export function createFamilyEncoder(): typeof encodeFamilies {
  /** In the order in which the families came last. */
  let names: readonly string[] = [];
  /** In the order of the page; each with its place in `names`. */
  let known: readonly Place[] = [];
  return (families) => {
    const distinct = haveNames(families, names) ? families : [...joinFamilies(families).values()];
    if (distinct !== families && !haveNames(distinct, names)) {
      known = arrange(distinct, known);
      names = distinct.map(({ name }) => copy(name));
    }
    for (const place of known) {
      const family = distinct[place.index];
      if (family !== undefined) place.known = encodeAgain(place.known, family);
    }
    return known.map(({ known: { encoded } }) => encoded);
  };
}

interface Place {
  readonly index: number;
  known: KnownFamily;
}

/** Whether each of `families` has series, and the name that stands in its place. */
function haveNames(families: readonly MetricFamily[], names: readonly string[]): boolean {
  if (families.length !== names.length) return false;
  for (let index = 0; index < names.length; index++) {
    const family = families[index];
    if (family === undefined || family.name !== names[index] || family.samples.length === 0) return false;
  }
  return true;
}

function arrange(families: readonly MetricFamily[], before: readonly Place[]): Place[] {
  const byName = new Map(before.map(({ known }) => [known.head.name, known]));
  const places = families.map((family, index) => ({ index, known: byName.get(family.name) ?? learn(family) }));
  return places.sort((a, b) => compare(a.known.head.name, b.known.head.name));
}

function encodeAgain(before: KnownFamily, now: MetricFamily): KnownFamily {
  return hasSameSeries(before, now) ? update(before, now) : learn(now);
}

/** A family as it was encoded last. */
interface KnownFamily {
  readonly head: Omit<MetricFamily, "samples">;
  /** Of each sample of the last call; an array of its own, as a source may fill the same one again. */
  readonly labels: Labels[];
  readonly suffixes: readonly (string | undefined)[];
  /** Of each line, its sample and the value that it was written with. */
  readonly sampleIndexes: readonly number[];
  readonly values: number[];
  /** The text in parts: what stands before the first value, that value, what stands up to the next one, … */
  readonly parts: string[];
  readonly duplicates: number;
  encoded: EncodedFamily;
}

function learn(family: MetricFamily): KnownFamily {
  const { samples, ...rest } = family;
  const head = { ...rest, name: copy(family.name), help: copy(family.help) };
  const { header, lines, duplicates } = layOutFamily(family);
  const values = lines.map(({ sampleIndex }) => samples[sampleIndex]?.value ?? Number.NaN);
  const parts: string[] = [];
  for (const [index, { opening }] of lines.entries()) {
    parts.push(copy(`${index === 0 ? header : "\n"}${opening}`), formatValue(values[index] ?? Number.NaN));
  }
  parts.push("\n");
  return {
    head,
    labels: samples.map(({ labels }) => labels),
    suffixes: samples.map(({ suffix }) => suffix),
    sampleIndexes: lines.map(({ sampleIndex }) => sampleIndex),
    values,
    parts,
    duplicates,
    encoded: toEncoded(head, parts.join(""), duplicates),
  };
}

/** `family` has the same series as before, so that only its values may differ. */
function update(known: KnownFamily, family: MetricFamily): KnownFamily {
  const { head, sampleIndexes, values, parts, duplicates } = known;
  let isChanged = false;
  for (let line = 0; line < sampleIndexes.length; line++) {
    const value = family.samples[sampleIndexes[line] ?? 0]?.value;
    if (value === undefined || Object.is(value, values[line])) continue;
    values[line] = value;
    parts[2 * line + 1] = formatValue(value);
    isChanged = true;
  }
  if (isChanged) known.encoded = toEncoded(head, parts.join(""), duplicates);
  return known;
}

/** Takes over the labels on the way: those of the last call are alive anyway, and older ones shall not be. */
function hasSameSeries({ head, labels, suffixes }: KnownFamily, now: MetricFamily): boolean {
  if (head.help !== now.help || head.type !== now.type || head.source !== now.source) return false;
  if (labels.length !== now.samples.length) return false;
  for (let index = 0; index < labels.length; index++) {
    const sample = now.samples[index];
    if (sample === undefined || suffixes[index] !== sample.suffix) return false;
    if (!hasSameLabels(labels[index], sample.labels)) return false;
    labels[index] = sample.labels;
  }
  return true;
}

function hasSameLabels(before: Labels = {}, now: Labels): boolean {
  if (before === now) return true;
  let surplus = 0;
  for (const name in now) {
    if (now[name] !== before[name]) return false;
    surplus++;
  }
  for (const _ in before) surplus--;
  return surplus === 0;
}

/** A part of a text keeps the whole of it in memory: of a large text file that changes each time, once per family. */
function copy(text: string): string {
  return Buffer.from(text).toString();
}
