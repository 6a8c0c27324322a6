import type { FamilyBytes } from "./reading.ts";

const newline = 0x0a;

/** Families of one collector, or of another part of the daemon. */
export interface PagePart {
  readonly name: string;
  readonly families: FamilyBytes;
}

export interface Page {
  /** Valid until the next page is made. */
  readonly bytes: Buffer<ArrayBuffer>;
  /** Families of text files that have the name of another one and were left out. */
  readonly clashes: readonly string[];
}

/** Written by users, so its names may be anything: it gives way to every other part. */
const textfile = "textfile";
const textfileError = "node_textfile_scrape_error";

/** Families of one part that follow each other on the page too. */
interface Run {
  readonly part: number;
  readonly first: number;
  readonly last: number;
  /** Another part began this family: its HELP and TYPE stand. */
  readonly headless: boolean;
  /** The family that says that text files clash. */
  readonly flagged: boolean;
}

interface Layout {
  /** What it was made for: of each part the list of names. */
  readonly names: readonly (readonly string[])[];
  readonly runs: readonly Run[];
  readonly clashes: readonly string[];
}

/** Makes pages of one selection of collectors. Where a family goes is found out again only when the names change. */
export function createPageMaker(): (parts: readonly PagePart[]) => Page {
  let layout: Layout | undefined;
  return (parts) => {
    if (layout === undefined || !isMadeFor(layout, parts)) layout = layOut(parts);
    return { bytes: fill(layout, parts), clashes: layout.clashes };
  };
}

function isMadeFor({ names }: Layout, parts: readonly PagePart[]): boolean {
  return names.length === parts.length && parts.every(({ families }, index) => families.names === names[index]);
}

interface Place {
  readonly name: string;
  readonly part: number;
  readonly family: number;
}

/**
 * All families, sorted by name as client_golang does. Two parts may contribute series to one family; the first one's
 * HELP and TYPE stand.
 */
function layOut(parts: readonly PagePart[]): Layout {
  const taken = new Set<string>();
  for (const { name, families } of parts) if (name !== textfile) for (const family of families.names) taken.add(family);
  const clashes: string[] = [];
  const places: Place[] = [];
  for (const [part, { name: partName, families }] of parts.entries()) {
    for (const [family, name] of families.names.entries()) {
      if (partName === textfile && taken.has(name)) clashes.push(name);
      else places.push({ name, part, family });
    }
  }
  places.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.part - b.part));
  const runs: Run[] = [];
  for (const [index, { name, part, family }] of places.entries()) {
    const headless = places[index - 1]?.name === name;
    const flagged = clashes.length > 0 && name === textfileError;
    const before = runs.at(-1);
    const follows = before?.part === part && before.last === family - 1 && !before.headless && !before.flagged;
    if (before !== undefined && follows && !headless && !flagged) runs[runs.length - 1] = { ...before, last: family };
    else runs.push({ part, first: family, last: family, headless, flagged });
  }
  return { names: parts.map(({ families }) => families.names), runs, clashes };
}

const flaggedSeries = `${textfileError} 1\n`;

/** One page after the other: memory that is new each time costs more than filling it. What is not used takes none. */
const ordinary = Buffer.allocUnsafeSlow(1024 * 1024);

function fill({ runs }: Layout, parts: readonly PagePart[]): Buffer<ArrayBuffer> {
  let most = flaggedSeries.length;
  for (const { families } of parts) most += families.bytes.length;
  const page = most > ordinary.length ? Buffer.allocUnsafeSlow(most) : ordinary;
  let used = 0;
  for (const { part, first, last, headless, flagged } of runs) {
    const families = parts[part]?.families;
    if (families === undefined) continue;
    const { ends, bytes } = families;
    const start = first === 0 ? 0 : (ends[first - 1] ?? 0);
    const end = ends[last] ?? 0;
    const series = headless || flagged ? seriesStart(bytes, start) : start;
    if (flagged) {
      used += bytes.copy(page, used, start, series);
      used += page.write(flaggedSeries, used);
    } else {
      used += bytes.copy(page, used, series, end);
    }
  }
  return page.subarray(0, used);
}

/** Behind the HELP and TYPE lines. */
function seriesStart(bytes: Buffer, start: number): number {
  return bytes.indexOf(newline, bytes.indexOf(newline, start) + 1) + 1;
}
