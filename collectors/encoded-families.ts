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
    for (const { duplicates } of encoded) series -= duplicates;
    const text = encoded.map((family) => family.text).join("");
    const isAscii = Buffer.byteLength(text) === text.length;
    const lengths = encoded.map((family) => (isAscii ? family.text.length : Buffer.byteLength(family.text)));
    return { names, lengths, text, series };
  };
}
