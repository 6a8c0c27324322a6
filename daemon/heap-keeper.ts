/**
 * JavaScriptCore lets garbage grow in proportion to the machine's memory: tens of megabytes here, which a scrape every
 * 15 seconds would never make it give back. So the heap is collected when a scrape has been answered and nobody waits.
 */
export interface HeapKeeper {
  /** A page has been sent. */
  pageSent(): void;
  stop(): void;
}

const quietMs = 250;
/** A collection takes about 10 ms. */
const pagesBetween = { whenQuiet: 60, atMost: 200 };

export function createHeapKeeper(collect: () => void = () => Bun.gc(true)): HeapKeeper {
  let pages = 0;
  let timer: Timer | undefined;
  const run = (): void => {
    if (pages < pagesBetween.whenQuiet) return;
    pages = 0;
    collect();
  };
  return {
    pageSent: () => {
      pages++;
      if (pages < pagesBetween.whenQuiet) return;
      if (pages >= pagesBetween.atMost) setImmediate(run);
      if (timer === undefined) timer = setTimeout(run, quietMs).unref();
      else timer.refresh();
    },
    stop: () => clearTimeout(timer),
  };
}
