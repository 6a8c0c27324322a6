/** The words of a line, like Go's strings.Fields: runs of spaces and tabs separate, the ends do not count. */
export function splitFields(line: string): string[] {
  const fields: string[] = [];
  let start = -1;
  for (let index = 0; index < line.length; index++) {
    const code = line.charCodeAt(index);
    const blank = code === 32 || (code >= 9 && code <= 13);
    if (blank) {
      if (start >= 0) fields.push(line.slice(start, index));
      start = -1;
    } else if (start < 0) {
      start = index;
    }
  }
  if (start >= 0) fields.push(line.slice(start));
  return fields;
}

/** The lines of a file that are not blank. */
export function splitLines(text: string): string[] {
  return text.split("\n").filter((line) => line.charCodeAt(0) > 32 || line.trim() !== "");
}

/** A decimal or 0x number as the kernel prints it; throws on anything else, an empty text included. */
export function parseNumber(text: string | undefined): number {
  const number = Number(text);
  // Number() makes 0 of nothing at all.
  const value = number === 0 && text?.trim() === "" ? Number.NaN : number;
  if (Number.isNaN(value)) throw new Error(`not a number: ${JSON.stringify(text ?? "")}`);
  return value;
}

/** The integers of " 1 2 3" from `start` on; undefined where anything is not as plain as that. */
export function parseIntegers(text: string, start: number): number[] | undefined {
  const numbers: number[] = [];
  let index = start;
  while (index < text.length) {
    if (text.charCodeAt(index++) !== space) return undefined;
    const first = index;
    let value = 0;
    for (; index < text.length; index++) {
      const digit = text.charCodeAt(index) - zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (index === first || !Number.isSafeInteger(value)) return undefined;
    numbers.push(value);
  }
  return numbers;
}

const space = 32;
const zero = 48;

/** CPU numbers by column of "CPU0  CPU2 …"; throws on any other heading, without which no column has a meaning. */
export function parseCpuHeader(line: string): string[] {
  return splitFields(line).map((name) => /^CPU(\d+)$/.exec(name)?.[1] ?? unexpectedHeading(line));
}

function unexpectedHeading(line: string): never {
  throw new Error(`unexpected heading ${JSON.stringify(line.slice(0, 60))}`);
}

/** Part of a metric name out of a name that something else chose: what may not stand there becomes an underscore. */
export function toMetricName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, "_");
}
