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
 * forgotten with it, so the memory is about that of one answer.
 */
export function createFamilyEncoder(): typeof encodeFamilies {
  let names: readonly string[] = [];
  const known = new Map<string, KnownFamily>();
  return (families) => {
    const byName = joinFamilies(families);
    if (names.length !== byName.size || !names.every((name) => byName.has(name))) {
      names = [...byName.keys()].sort(compare);
      for (const name of known.keys()) if (!byName.has(name)) known.delete(name);
    }
    const encoded: EncodedFamily[] = [];
    for (const name of names) {
      const family = byName.get(name);
      if (family === undefined) continue;
      const before = known.get(name);
      const now = before !== undefined && hasSameSeries(before, family) ? update(before, family) : learn(family);
      if (now !== before) known.set(name, now);
      encoded.push(now.encoded);
    }
    return encoded;
  };
}

/** A family as it was encoded last. */
interface KnownFamily {
  readonly family: Pick<MetricFamily, "help" | "type" | "source">;
  /** Of each sample; copied, as a source may fill the same array again. */
  readonly labels: readonly Labels[];
  readonly suffixes: readonly (string | undefined)[];
  readonly layout: FamilyLayout;
  /** Of each line of the layout. */
  readonly values: number[];
  readonly lines: string[];
  encoded: EncodedFamily;
}

function learn(family: MetricFamily): KnownFamily {
  const { help, type, source, samples } = family;
  const layout = layOutFamily(family);
  const values = layout.lines.map(({ sampleIndex }) => samples[sampleIndex]?.value ?? Number.NaN);
  const lines = layout.lines.map(({ opening }, index) => writeLine(opening, values[index]));
  return {
    family: { help, type, ...(source === undefined ? {} : { source }) },
    labels: samples.map(({ labels }) => labels),
    suffixes: samples.map(({ suffix }) => suffix),
    layout,
    values,
    lines,
    encoded: toEncoded(family, layout.header + lines.join(""), layout.duplicates),
  };
}

/** `family` has the same series as before, so that only its values may differ. */
function update(known: KnownFamily, family: MetricFamily): KnownFamily {
  const { layout, values, lines } = known;
  let isChanged = false;
  for (let index = 0; index < layout.lines.length; index++) {
    const line = layout.lines[index];
    const value = line === undefined ? undefined : family.samples[line.sampleIndex]?.value;
    if (line === undefined || value === undefined || Object.is(value, values[index])) continue;
    values[index] = value;
    lines[index] = writeLine(line.opening, value);
    isChanged = true;
  }
  if (isChanged) known.encoded = toEncoded(family, layout.header + lines.join(""), layout.duplicates);
  return known;
}

function hasSameSeries({ family, labels, suffixes }: KnownFamily, now: MetricFamily): boolean {
  if (family.help !== now.help || family.type !== now.type || family.source !== now.source) return false;
  if (labels.length !== now.samples.length) return false;
  for (let index = 0; index < labels.length; index++) {
    const sample = now.samples[index];
    if (suffixes[index] !== sample?.suffix || !hasSameLabels(labels[index], sample?.labels)) return false;
  }
  return true;
}

function hasSameLabels(before: Labels = {}, now: Labels = {}): boolean {
  if (before === now) return true;
  let surplus = 0;
  for (const name in now) {
    if (now[name] !== before[name]) return false;
    surplus++;
  }
  for (const _ in before) surplus--;
  return surplus === 0;
}
