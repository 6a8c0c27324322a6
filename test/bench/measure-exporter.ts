import { readTreeCpuSeconds, readTreeUsage, type TreeUsage } from "./process-tree.ts";

export interface Exporter {
  readonly label: string;
  argv(port: number): readonly string[];
}

export interface Quantiles {
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Many scrapes of one exporter. */
export interface Scrapes {
  readonly latencyMs: Quantiles;
  readonly cpuMsPerScrape: number;
}

export interface Measurement {
  readonly label: string;
  readonly series: number;
  readonly pageBytes: number;
  readonly firstPageMs: Quantiles;
  readonly backToBack: Scrapes;
  readonly paced: Scrapes;
  readonly concurrent: Scrapes & { readonly scrapesPerSecond: number };
  readonly memoryWhenWarm: TreeUsage;
  readonly memoryAtEnd: TreeUsage;
  readonly idleCpuMsPer10s: number;
}

export interface MeasureOptions {
  readonly scrapes: number;
  findPort(): Promise<number>;
}

interface Running {
  readonly pid: number;
  readonly url: string;
  readonly firstPageMs: number;
  stop(): Promise<void>;
}

const starts = 7;
const warmUp = 200;
/** Scrapes of one exporter before it is the next one's turn. */
const block = 10;
/** The pace of an impatient Prometheus, so that work between scrapes is counted too. */
const paced = { scrapes: 60, pauseMs: 500 };
const concurrent = { scrapers: 4, scrapesOfEach: 120 };
const idleMs = 10_000;

/** Exporters of one machine and one tree. */
export async function measureExporters(
  exporters: readonly Exporter[],
  options: MeasureOptions,
): Promise<Measurement[]> {
  const alone: Alone[] = [];
  for (const exporter of exporters) alone.push(await measureAlone(exporter, options));
  const inTurn = await measureInTurn(exporters, options);
  return exporters.map(({ label }, index) => ({ label, ...at(alone, index), ...at(inTurn, index) }));
}

type Alone = Pick<Measurement, "firstPageMs" | "memoryWhenWarm" | "memoryAtEnd" | "idleCpuMsPer10s">;
type InTurn = Omit<Measurement, "label" | keyof Alone>;

/** What would be another figure if a second process of the same program ran, as they share the pages of its code. */
async function measureAlone(exporter: Exporter, { scrapes, findPort }: MeasureOptions): Promise<Alone> {
  const firstPages: number[] = [];
  for (;;) {
    const running = await start(exporter, await findPort());
    try {
      firstPages.push(running.firstPageMs);
      if (firstPages.length < starts) continue;
      await scrapeMany(running.url, warmUp);
      const memoryWhenWarm = readTreeUsage(running.pid);
      await scrapeMany(running.url, scrapes - warmUp);
      const memoryAtEnd = readTreeUsage(running.pid);
      const before = readTreeCpuSeconds(running.pid);
      await Bun.sleep(idleMs);
      const idleCpuMsPer10s = (readTreeCpuSeconds(running.pid) - before) * 1000;
      return { firstPageMs: quantiles(firstPages), memoryWhenWarm, memoryAtEnd, idleCpuMsPer10s };
    } finally {
      await running.stop();
    }
  }
}

/** All run at the same time and are scraped in turn, so that a noisy moment of the machine meets all alike. */
async function measureInTurn(exporters: readonly Exporter[], { scrapes, findPort }: MeasureOptions): Promise<InTurn[]> {
  const all: Running[] = [];
  try {
    for (const exporter of exporters) all.push(await start(exporter, await findPort()));
    for (const { url } of all) await scrapeMany(url, warmUp);
    const backToBack = await takeTurns(all, Math.ceil(scrapes / block), ({ url }) => scrapeMany(url, block));
    const slow = await takeTurns(all, paced.scrapes, async ({ url }) => {
      const latencies = await scrapeMany(url, 1);
      await Bun.sleep(paced.pauseMs);
      return latencies;
    });
    const crowd = await takeTurns(all, concurrent.scrapesOfEach / block, async ({ url }) =>
      (await Promise.all(Array.from({ length: concurrent.scrapers }, () => scrapeMany(url, block)))).flat(),
    );
    const pages = await Promise.all(all.map(async ({ url }) => (await fetch(url)).text()));
    return pages.map((page, index) => ({
      series: page.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length,
      pageBytes: Buffer.byteLength(page),
      backToBack: toScrapes(at(backToBack, index)),
      paced: toScrapes(at(slow, index)),
      concurrent: { ...toScrapes(at(crowd, index)), scrapesPerSecond: scrapesPerSecond(at(crowd, index)) },
    }));
  } finally {
    for (const running of all) await running.stop();
  }
}

/** What was done to one exporter in its turns. */
interface Turns {
  latencies: number[];
  cpuMs: number;
  elapsedMs: number;
}

async function takeTurns(
  all: readonly Running[],
  rounds: number,
  turn: (running: Running) => Promise<number[]>,
): Promise<Turns[]> {
  const results = all.map((running) => ({ running, latencies: [] as number[], cpuMs: 0, elapsedMs: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const result of results) {
      const cpuBefore = readTreeCpuSeconds(result.running.pid);
      const startedAt = performance.now();
      result.latencies.push(...(await turn(result.running)));
      result.elapsedMs += performance.now() - startedAt;
      result.cpuMs += (readTreeCpuSeconds(result.running.pid) - cpuBefore) * 1000;
    }
  }
  return results;
}

function toScrapes({ latencies, cpuMs }: Turns): Scrapes {
  return { latencyMs: quantiles(latencies), cpuMsPerScrape: cpuMs / latencies.length };
}

function scrapesPerSecond({ latencies, elapsedMs }: Turns): number {
  return latencies.length / (elapsedMs / 1000);
}

async function start(exporter: Exporter, port: number): Promise<Running> {
  const startedAt = performance.now();
  const child = Bun.spawn([...exporter.argv(port)], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const url = `http://127.0.0.1:${port}/metrics`;
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  for (;;) {
    try {
      const response = await fetch(url);
      await response.bytes();
      if (response.ok) return { pid: child.pid, url, firstPageMs: performance.now() - startedAt, stop };
    } catch (error) {
      if (child.exitCode !== null || performance.now() - startedAt > 30_000) {
        throw new Error(`no page from ${url}: ${await child.stderr.text()}`, { cause: error });
      }
    }
    await Bun.sleep(1);
  }
}

/** Milliseconds of each, one after the other. */
async function scrapeMany(url: string, count: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let index = 0; index < count; index++) latencies.push(await scrape(url));
  return latencies;
}

/** One scrape over the kept connection; the answer stays compressed, as decompressing is the client's cost. */
async function scrape(url: string): Promise<number> {
  const startedAt = performance.now();
  const response = await fetch(url, { headers: { "accept-encoding": "gzip" }, decompress: false });
  await response.bytes();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return performance.now() - startedAt;
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const share = (part: number): number => sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN;
  return { median: share(0.5), p90: share(0.9), p99: share(0.99), max: share(1) };
}

function at<Value>(values: readonly Value[], index: number): Value {
  const value = values[index];
  if (value === undefined) throw new Error(`no value at ${index}`);
  return value;
}
