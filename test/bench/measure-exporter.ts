import { readTreeUsage, type TreeUsage } from "./process-tree.ts";

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

export interface Measurement {
  readonly label: string;
  readonly series: number;
  readonly pageBytes: number;
  readonly firstScrapeMs: Quantiles;
  readonly latencyMs: Quantiles;
  readonly cpuMsPerScrape: number;
  readonly pacedLatencyMs: Quantiles;
  readonly pacedCpuMsPerScrape: number;
  readonly concurrent: {
    readonly latencyMs: Quantiles;
    readonly scrapesPerSecond: number;
    readonly cpuMsPerScrape: number;
  };
  /** After 200 scrapes, then at every further tenth, then at the end. */
  readonly memory: readonly (TreeUsage & { readonly scrapes: number })[];
  readonly idleCpuMsPer10s: number;
}

export interface MeasureOptions {
  readonly scrapes: number;
  findPort(): Promise<number>;
}

interface Running {
  readonly pid: number;
  readonly url: string;
  readonly firstScrapeMs: number;
  readonly page: string;
  stop(): Promise<void>;
}

const starts = 7;
const warmUp = 200;

export async function measureExporter(exporter: Exporter, { scrapes, findPort }: MeasureOptions): Promise<Measurement> {
  const firstScrapes: number[] = [];
  for (let run = 1; run < starts; run += 1) {
    const running = await start(exporter, await findPort());
    firstScrapes.push(running.firstScrapeMs);
    await running.stop();
  }
  const running = await start(exporter, await findPort());
  firstScrapes.push(running.firstScrapeMs);
  try {
    return {
      label: exporter.label,
      series: running.page.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length,
      pageBytes: running.page.length,
      firstScrapeMs: quantiles(firstScrapes),
      ...(await measureSequential(running, scrapes)),
      ...(await measurePaced(running)),
      concurrent: await measureConcurrent(running),
      idleCpuMsPer10s: await measureIdle(running),
    };
  } finally {
    await running.stop();
  }
}

async function start(exporter: Exporter, port: number): Promise<Running> {
  const started = performance.now();
  const child = Bun.spawn([...exporter.argv(port)], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const url = `http://127.0.0.1:${port}/metrics`;
  const page = await firstPage(url, child, started);
  const firstScrapeMs = performance.now() - started;
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  return { pid: child.pid, url, firstScrapeMs, page, stop };
}

async function firstPage(
  url: string,
  child: Bun.Subprocess<"ignore", "ignore", "pipe">,
  started: number,
): Promise<string> {
  for (;;) {
    try {
      const response = await fetch(url);
      if (response.ok) return await response.text();
    } catch (error) {
      if (child.exitCode !== null || performance.now() - started > 30_000) {
        throw new Error(`no page from ${url}: ${await child.stderr.text()}`, { cause: error });
      }
    }
    await Bun.sleep(1);
  }
}

async function measureSequential(
  running: Running,
  scrapes: number,
): Promise<Pick<Measurement, "latencyMs" | "cpuMsPerScrape" | "memory">> {
  for (let count = 0; count < warmUp; count += 1) await scrape(running.url);
  const before = readTreeUsage(running.pid);
  const memory = [{ scrapes: warmUp, ...before }];
  const latencies: number[] = [];
  const rest = scrapes - warmUp;
  for (let count = 1; count <= rest; count += 1) {
    latencies.push(await scrape(running.url));
    if (count % Math.ceil(rest / 10) === 0) memory.push({ scrapes: warmUp + count, ...readTreeUsage(running.pid) });
  }
  const after = readTreeUsage(running.pid);
  memory.push({ scrapes, ...after });
  return { latencyMs: quantiles(latencies), cpuMsPerScrape: cpuMs(before, after) / rest, memory };
}

/** The pace of an impatient Prometheus, so that work between scrapes is counted too. */
async function measurePaced(running: Running): Promise<Pick<Measurement, "pacedLatencyMs" | "pacedCpuMsPerScrape">> {
  const count = 60;
  const latencies: number[] = [];
  const before = readTreeUsage(running.pid);
  for (let index = 0; index < count; index += 1) {
    latencies.push(await scrape(running.url));
    await Bun.sleep(500);
  }
  return {
    pacedLatencyMs: quantiles(latencies),
    pacedCpuMsPerScrape: cpuMs(before, readTreeUsage(running.pid)) / count,
  };
}

async function measureConcurrent(running: Running): Promise<Measurement["concurrent"]> {
  const scrapers = 4;
  const each = 125;
  const latencies: number[] = [];
  const before = readTreeUsage(running.pid);
  const started = performance.now();
  const loop = async (): Promise<void> => {
    for (let count = 0; count < each; count += 1) latencies.push(await scrape(running.url));
  };
  await Promise.all(Array.from({ length: scrapers }, loop));
  const seconds = (performance.now() - started) / 1000;
  return {
    latencyMs: quantiles(latencies),
    scrapesPerSecond: latencies.length / seconds,
    cpuMsPerScrape: cpuMs(before, readTreeUsage(running.pid)) / latencies.length,
  };
}

async function measureIdle(running: Running): Promise<number> {
  const before = readTreeUsage(running.pid);
  await Bun.sleep(10_000);
  return cpuMs(before, readTreeUsage(running.pid));
}

/** One scrape over the kept connection; the answer stays compressed, as decompressing is the client's cost. */
async function scrape(url: string): Promise<number> {
  const started = performance.now();
  const response = await fetch(url, { headers: { "accept-encoding": "gzip" }, decompress: false });
  await response.bytes();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return performance.now() - started;
}

function cpuMs(before: TreeUsage, after: TreeUsage): number {
  return (after.cpuSeconds - before.cpuSeconds) * 1000;
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
