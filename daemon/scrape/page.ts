import type { FamilyBytes } from "./reading.ts";

const newline = 0x0a;

/** Families of one collector, or of another part of the daemon. */
export interface PagePart {
  readonly name: string;
  readonly families: readonly FamilyBytes[];
}

export interface Page {
  readonly bytes: Uint8Array;
  /** Families of text files that have the name of another one and were left out. */
  readonly clashes: readonly string[];
}

/** Written by users, so its names may be anything: it gives way to every other part. */
const textfile = "textfile";
const textfileError = "node_textfile_scrape_error";

/**
 * All families, sorted by name as client_golang does. Two parts may contribute series to one family; the first one's
 * HELP and TYPE stand.
 */
export function assemblePage(parts: readonly PagePart[]): Page {
  const taken = new Set<string>();
  for (const { name, families } of parts) if (name !== textfile) for (const family of families) taken.add(family.name);
  const clashes: string[] = [];
  const all: FamilyBytes[] = [];
  for (const { name, families } of parts) {
    for (const family of families) {
      if (name === textfile && taken.has(family.name)) clashes.push(family.name);
      else all.push(family);
    }
  }
  const families = clashes.length === 0 ? all : all.map(flagClash);
  families.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const chunks = families.map(({ name, bytes }, index) =>
    index > 0 && families[index - 1]?.name === name ? withoutHeader(bytes) : bytes,
  );
  return { bytes: Buffer.concat(chunks), clashes };
}

function flagClash(family: FamilyBytes): FamilyBytes {
  if (family.name !== textfileError) return family;
  const header = family.bytes.subarray(0, family.bytes.length - withoutHeader(family.bytes).length);
  return { name: family.name, bytes: Buffer.concat([header, Buffer.from(`${textfileError} 1\n`)]) };
}

/** What follows the HELP and TYPE lines. */
function withoutHeader(bytes: Uint8Array): Uint8Array {
  const help = bytes.indexOf(newline);
  return bytes.subarray(bytes.indexOf(newline, help + 1) + 1);
}
