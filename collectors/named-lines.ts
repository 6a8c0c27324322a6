/** Longer files are none of the kernel's. */
const limit = 4096;

interface Head<Value> {
  /** The name and the separator behind it. */
  readonly text: string;
  readonly value: Value | undefined;
}

/**
 * For a file of lines that begin with a name, such as `pgfault 5`: the same names in the same places at nearly every
 * reading. `head` matches a name, its first group, and what separates it from the rest; `find` is asked what the name
 * means. A line that begins as it did at the last reading is known by that alone. Of each line whose name means something
 * `take` gets that and the rest.
 */
export function createNamedLines<Value>(
  head: RegExp,
  find: (name: string) => Value | undefined,
): (text: string, take: (value: Value, rest: string) => void) => void {
  const heads: (Head<Value> | undefined)[] = [];
  const readHead = (line: string): Head<Value> | undefined => {
    const [text, name] = head.exec(line) ?? [];
    return text === undefined || name === undefined ? undefined : { text, value: find(name) };
  };
  return (text, take) => {
    for (let start = 0, line = 0; start < text.length; line++) {
      const newline = text.indexOf("\n", start);
      const end = newline < 0 ? text.length : newline;
      let known = heads[line];
      if (known === undefined || !text.startsWith(known.text, start)) {
        known = readHead(text.slice(start, end));
        if (line < limit) heads[line] = known;
      }
      if (known?.value !== undefined) take(known.value, text.slice(start + known.text.length, end));
      start = end + 1;
    }
  };
}
