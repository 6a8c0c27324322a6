/** A set of characters by code point, both ends included. */
export type CodeRange = readonly [from: number, to: number];

const digit: readonly CodeRange[] = [[0x30, 0x39]];
const upper: readonly CodeRange[] = [[0x41, 0x5a]];
const lower: readonly CodeRange[] = [[0x61, 0x7a]];
const alpha = [...upper, ...lower];
const wordRanges = [...digit, ...upper, [0x5f, 0x5f] as const, ...lower];
const spaceRanges: readonly CodeRange[] = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x20, 0x20],
];
export const perlClasses: Readonly<Record<string, readonly CodeRange[]>> = { d: digit, s: spaceRanges, w: wordRanges };
export const posixClasses: Readonly<Record<string, readonly CodeRange[]>> = {
  alnum: [...digit, ...alpha],
  alpha,
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit,
  graph: [[0x21, 0x7e]],
  lower,
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper,
  word: wordRanges,
  xdigit: [
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ],
};
export function complement(ranges: readonly CodeRange[]): CodeRange[] {
  const gaps: CodeRange[] = [];
  let next = 0;
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  gaps.push([next, 0x10ffff]);
  return gaps;
}

export function encodeRanges(ranges: readonly CodeRange[]): string {
  return ranges.map(([from, to]) => (from === to ? codeUnit(from) : `${codeUnit(from)}-${codeUnit(to)}`)).join("");
}

/** Letters and digits as they are, everything else as a code: valid inside and outside of a class. */
export function literal(char: string): string {
  return /^[A-Za-z0-9_]$/.test(char) ? char : codeUnit(codeOf(char));
}

function codeUnit(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

export function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}
