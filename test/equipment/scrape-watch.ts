import { readdirSync, readFileSync } from "node:fs";
import type { RunningDaemon } from "../harness/daemon.ts";

/** How long one page of /metrics takes, headers and body. */
export async function timeScrape(daemon: RunningDaemon, path = "/metrics"): Promise<number> {
  const started = performance.now();
  await daemon.page(path);
  return performance.now() - started;
}

/**
 * How much longer a page of one daemon takes than one of the other, as the ratio of medians. They are asked in turn, so
 * that whatever else the machine does slows down both; the best of three comparisons counts, so that it decides nothing.
 */
export async function compareScrapes(
  faulty: RunningDaemon,
  healthy: RunningDaemon,
  { pages = 40, enough = 1.2, path = "/metrics" } = {},
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && best > enough; attempt++) {
    const times: { faulty: number[]; healthy: number[] } = { faulty: [], healthy: [] };
    for (let page = 0; page < pages; page++) {
      times.healthy.push(await timeScrape(healthy, path));
      times.faulty.push(await timeScrape(faulty, path));
    }
    best = Math.min(best, median(times.faulty) / median(times.healthy));
  }
  return best;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Names and labels of the page's series, without those that tell about the daemon itself. */
export function seriesOf(page: string): string[] {
  return page
    .split("\n")
    .filter((line) => /^[a-z]/.test(line) && !/^(process_|promhttp_|aami_(?!collector_state))/.test(line))
    .map((line) => line.slice(0, line.lastIndexOf(" ")))
    .sort();
}

export interface Resources {
  readonly processes: number;
  readonly threads: number;
  readonly descriptors: number;
  /** Proportional set size: what the tree of processes really takes. */
  readonly bytes: number;
}

/** A process and everything below it. A process that ends while it is looked at counts for nothing. */
export function countTree(pid: number): Resources {
  const total = { processes: 0, threads: 0, descriptors: 0, bytes: 0 };
  const add = (id: number): void => {
    try {
      const tasks = readdirSync(`/proc/${id}/task`);
      const descriptors = readdirSync(`/proc/${id}/fd`).length;
      const children = tasks.flatMap((task) => readFileSync(`/proc/${id}/task/${task}/children`, "utf8").split(" "));
      total.processes++;
      total.threads += tasks.length;
      total.descriptors += descriptors;
      total.bytes += proportionalBytes(id);
      for (const child of children.filter(Boolean)) add(Number(child));
    } catch (error) {
      if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  };
  add(pid);
  return total;
}

function proportionalBytes(pid: number): number {
  const kibibytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}
