import { type FamilyBytes, toEnds } from "../../../daemon/scrape/reading.ts";

/** Gauges with these series, as a collector gives them; sorted by name. */
export function familyBytes(
  ...families: readonly (readonly [name: string, series: string, help?: string])[]
): FamilyBytes {
  const texts = families.map(([name, series, help = "h"]) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${series}`);
  return {
    names: families.map(([name]) => name),
    ends: toEnds(texts.map((text) => Buffer.byteLength(text))),
    bytes: Buffer.from(texts.join("")),
  };
}
