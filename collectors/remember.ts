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
