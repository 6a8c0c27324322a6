import { releaseResidentCode } from "../runtime/resident-code.ts";

/**
 * JavaScriptCore lets garbage grow in proportion to the machine's memory: tens of megabytes here, which a scrape every
 * 15 seconds would never make it give back. So the heap is collected when a scrape has been answered and nobody waits, and
 * with it goes the code that was only used at the start, or for the collection.
 */
export interface HeapKeeper {
  /** A page has been sent. */
  pageSent(): void;
  stop(): void;
}

const quietMs = 250;
/** A collection takes about 10 ms. */
const pagesBetween = { whenQuiet: 60, atMost: 200 };
/** What it took to start is given back by then, however seldom there is a scrape. */
const startedMs = 30_000;

export function createHeapKeeper(collect: () => void = collectGarbage): HeapKeeper {
  let pages = 0;
  let timer: Timer | undefined;
  const collectNow = (): void => {
    pages = 0;
    collect();
  };
  const run = (): void => {
    if (pages >= pagesBetween.whenQuiet) collectNow();
  };
  const started = setTimeout(collectNow, startedMs).unref();
  return {
    pageSent: () => {
      pages++;
      if (pages < pagesBetween.whenQuiet) return;
      if (pages >= pagesBetween.atMost) setImmediate(run);
      if (timer === undefined) timer = setTimeout(run, quietMs).unref();
      else timer.refresh();
    },
    stop: () => {
      clearTimeout(started);
      clearTimeout(timer);
    },
  };
}

function collectGarbage(): void {
  Bun.gc(true);
  releaseResidentCode();
}
