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

/** What `make` gave for these parts, until one of them is another: for what follows from listings that seldom change. */
export function rememberLatest<Value>(): (parts: readonly unknown[], make: () => Value) => Value {
  let latest: { readonly parts: readonly unknown[]; readonly value: Value } | undefined;
  return (parts, make) => {
    const before = latest?.parts;
    if (
      latest === undefined ||
      before?.length !== parts.length ||
      parts.some((part, index) => part !== before[index])
    ) {
      latest = { parts, value: make() };
    }
    return latest.value;
  };
}
