/** Runs `work` once at a time. Who asks while it runs shares the next run with all others who do: that one sees news. */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    if (next !== undefined) return next;
    const begin = (): Promise<T> => {
      next = undefined;
      return work();
    };
    next = last.then(begin, begin);
    last = next;
    return next;
  };
}
