/** More names than any file of the kernel has; a source that invents new ones all the time starts anew. */
const limit = 4096;

/** `make`, called once for each key: for what follows from a name alone that a file repeats at every reading. */
export function remember<Value>(make: (key: string) => Value): (key: string) => Value {
  const known = new Map<string, { readonly value: Value }>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before.value;
    const value = make(key);
    if (known.size >= limit) known.clear();
    known.set(key, { value });
    return value;
  };
}

/**
 * What `make` gave for a text, until the text is another: for what is laid out along a listing or a file that seldom
 * changes.
 */
export function rememberLatest<Value>(): (text: string, make: () => Value) => Value {
  let latest: { readonly text: string; readonly value: Value } | undefined;
  return (text, make) => {
    if (latest?.text !== text) latest = { text, value: make() };
    return latest.value;
  };
}
