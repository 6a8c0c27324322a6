import type { Labels, MetricFamily } from "./collector.ts";
import {
  compare,
  type EncodedFamily,
  encodeFamilies,
  type FamilyLayout,
  joinFamilies,
  layOutFamily,
  toEncoded,
  writeLine,
} from "./exposition.ts";

/**
 * encodeFamilies for a source that is asked again and again, with much the same answer. From call to call it keeps the
 * text of each series and makes anew what has changed, which is mostly a few values. A family that is not in a call is
 * forgotten with it, so the memory is about that of one answer, whatever the answers before it were.
 */
export function createFamilyEncoder(): typeof encodeFamilies {
  let names: readonly string[] = [];
  const known = new Map<string, KnownFamily>();
  return (families) => {
    const byName = joinFamilies(families);
    if (names.length !== byName.size || !names.every((name) => byName.has(name))) {
      names = [...byName.keys()].map(copy).sort(compare);
      for (const name of known.keys()) if (!byName.has(name)) known.delete(name);
    }
    const encoded: EncodedFamily[] = [];
    for (const name of names) {
      const family = byName.get(name);
      if (family === undefined) continue;
      const before = known.get(name);
      const now = before !== undefined && hasSameSeries(before, family) ? update(before, family) : learn(name, family);
      if (now !== before) known.set(name, now);
      encoded.push(now.encoded);
    }
    return encoded;
  };
}

/** A family as it was encoded last. */
interface KnownFamily {
  readonly head: Omit<MetricFamily, "samples">;
  /** Of each sample of the last call; an array of its own, as a source may fill the same one again. */
  readonly labels: Labels[];
  readonly suffixes: readonly (string | undefined)[];
  readonly layout: FamilyLayout;
  /** Of each line of the layout. */
  readonly values: number[];
  readonly lines: string[];
  encoded: EncodedFamily;
}

function learn(name: string, family: MetricFamily): KnownFamily {
  const { samples, ...rest } = family;
  const head = { ...rest, name, help: copy(family.help) };
  const { header, lines: layoutLines, duplicates } = layOutFamily(family);
  const layout = {
    header: copy(header),
    lines: layoutLines.map(({ opening, sampleIndex }) => ({ opening: copy(opening), sampleIndex })),
    duplicates,
  };
  const values = layout.lines.map(({ sampleIndex }) => samples[sampleIndex]?.value ?? Number.NaN);
  const lines = layout.lines.map(({ opening }, index) => writeLine(opening, values[index]));
  return {
    head,
    labels: samples.map(({ labels }) => labels),
    suffixes: samples.map(({ suffix }) => suffix),
    layout,
    values,
    lines,
    encoded: toEncoded(head, layout.header + lines.join(""), duplicates),
  };
}

/** `family` has the same series as before, so that only its values may differ. */
function update(known: KnownFamily, family: MetricFamily): KnownFamily {
  const { head, layout, values, lines } = known;
  let isChanged = false;
  for (let index = 0; index < layout.lines.length; index++) {
    const line = layout.lines[index];
    const value = line === undefined ? undefined : family.samples[line.sampleIndex]?.value;
    if (line === undefined || value === undefined || Object.is(value, values[index])) continue;
    values[index] = value;
    lines[index] = writeLine(line.opening, value);
    isChanged = true;
  }
  if (isChanged) known.encoded = toEncoded(head, layout.header + lines.join(""), layout.duplicates);
  return known;
}

/** Takes over the labels on the way: those of the last call are alive anyway, and older ones shall not be. */
function hasSameSeries({ head, labels, suffixes }: KnownFamily, now: MetricFamily): boolean {
  if (head.help !== now.help || head.type !== now.type || head.source !== now.source) return false;
  if (labels.length !== now.samples.length) return false;
  for (const [index, sample] of now.samples.entries()) {
    if (suffixes[index] !== sample.suffix || !hasSameLabels(labels[index], sample.labels)) return false;
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
