import { waitFor } from "../harness/wait.ts";

/** A daemon, however it was started. */
export interface Scraped {
  /** The body of a page that answers 200. */
  page(path?: string): Promise<string>;
}

/** How long one page of /metrics takes, headers and body. */
export async function timeScrape(daemon: Scraped, path = "/metrics"): Promise<number> {
  const started = performance.now();
  await daemon.page(path);
  return performance.now() - started;
}

/**
 * How much longer a page of one daemon takes than one of the other, as the ratio of medians. They are asked in turn, so
 * that whatever else the machine does slows down both; the best of several comparisons counts, so that a burst of it
 * decides nothing, while what really stalls does so in each.
 */
export async function compareScrapes(
  faulty: Scraped,
  healthy: Scraped,
  { pages = 25, enough = 1.2, path = "/metrics" } = {},
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 8 && best >= enough; attempt++) {
    const times = new Map([faulty, healthy].map((daemon): [Scraped, number[]] => [daemon, []]));
    for (let page = 0; page < pages; page++) {
      // Neither always comes after the other.
      const turn = page % 2 === 0 ? [faulty, healthy] : [healthy, faulty];
      for (const daemon of turn) times.get(daemon)?.push(await timeScrape(daemon, path));
    }
    best = Math.min(best, median(times.get(faulty) ?? []) / median(times.get(healthy) ?? []));
  }
  return best;
}

/**
 * The shortest of up to five tries at something that has a limit by its nature: a program that waits for what it must
 * not wait for is beyond the limit each time, one on a busy machine is not.
 */
export async function quickest(limitMs: number, attempt: () => Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 5 && best >= limitMs; tries++) best = Math.min(best, await attempt());
  return best;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** A page on which every collector has answered, as it is on a machine that is not too busy for it. */
export function completePage(daemon: Scraped): Promise<string> {
  return waitFor("a page with all collectors", async () => {
    const page = await daemon.page();
    const missing = /^aami_collector_state\{.*state="(?:failed|timeout)"\} 1$/m.exec(page);
    if (missing !== null) throw new Error(missing[0]);
    return page;
  });
}

/** Names and labels of the page's series, without those that tell about the daemon itself. */
export function seriesOf(page: string): string[] {
  return page
    .split("\n")
    .filter((line) => /^[a-z]/.test(line) && !/^(process_|promhttp_|aami_(?!collector_state))/.test(line))
    .map((line) => line.slice(0, line.lastIndexOf(" ")))
    .sort();
}
