import type { MetricFamily } from "./collector.ts";
import { createFamilyEncoder } from "./family-encoder.ts";

/** Families as they go onto a page, one after the other and sorted by name, HELP and TYPE lines included. */
export interface EncodedFamilies {
  /** The same array as in the answer before when the names are the same. */
  readonly names: readonly string[];
  /** Bytes of each. */
  readonly lengths: readonly number[];
  readonly text: string;
  /** Without the duplicates, which are left out. */
  readonly series: number;
}

/** For a source that is asked again and again. */
export function createPageEncoder(): (families: readonly MetricFamily[]) => EncodedFamilies {
  const encode = createFamilyEncoder();
  let names: readonly string[] = [];
  return (families) => {
    const encoded = encode(families);
    if (encoded.length !== names.length || encoded.some(({ name }, index) => name !== names[index])) {
      names = encoded.map(({ name }) => name);
    }
    let series = 0;
    for (const { samples } of families) series += samples.length;
    let text = "";
    const lengths: number[] = [];
    for (const family of encoded) {
      series -= family.duplicates;
      text += family.text;
      lengths.push(family.text.length);
    }
    const isAscii = Buffer.byteLength(text) === text.length;
    return {
      names,
      lengths: isAscii ? lengths : encoded.map((family) => Buffer.byteLength(family.text)),
      text,
      series,
    };
  };
}
