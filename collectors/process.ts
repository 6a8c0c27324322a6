import type { Static, TObject } from "@sinclair/typebox";
import { describeError } from "../runtime/log.ts";
import {
  type Collector,
  type CollectorDefinition,
  type Detection,
  type MetricFamily,
  NoDataError,
} from "./collector.ts";
import { createFamilyEncoder } from "./family-encoder.ts";
import type { Host } from "./host.ts";
import type { JobContext, JobHandlers, JobResult } from "./probe/worker.ts";
import { createSystemHost, type HostPaths } from "./system-host.ts";

/** First request of a collector process. Options are complete: the daemon has validated them and filled in defaults. */
export interface CollectSetup {
  readonly paths: HostPaths;
  readonly collectors: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export type CollectState = "ok" | "absent" | "failed";

/** What is told about one collection; the exposition text of its families follows as payload, in this order. */
export interface CollectHeader {
  readonly state: CollectState;
  readonly durationSeconds: number;
  /** Why the state is not "ok". */
  readonly error?: string;
  readonly skipped: number;
  /** Each left-out reading once in the life of the process, for the log. */
  readonly skippedNew: readonly string[];
  /** Series left out because the same one came before. */
  readonly duplicates: number;
  readonly series: number;
  readonly families: readonly (readonly [name: string, byteLength: number])[];
}

/** Longer lists of unreadable files say nothing more. */
const skippedRemembered = 1000;
const skippedListed = 20;

/** The jobs `collect NAME` of a collector process: the named collectors with these options on the real machine. */
export function createCollectJobs(definitions: readonly CollectorDefinition[], setup: CollectSetup): JobHandlers {
  const skips = createSkipLog();
  const host = createSystemHost(setup.paths, skips.add);
  const collectors = new Map<string, EncodedCollector>();
  const create = (name: string): EncodedCollector => {
    const definition = definitions.find((candidate) => candidate.name === name);
    const options = setup.collectors[name];
    if (definition === undefined || options === undefined) throw new Error(`no collector ${name} in this process`);
    return { ...definition.create(options as Static<TObject>), encode: createFamilyEncoder() };
  };
  const detected = new Set<string>();
  return {
    collect: async (_, context) => {
      const name = context.job.slice("collect ".length);
      const collector = collectors.get(name) ?? create(name);
      collectors.set(name, collector);
      return runCollector(collector, { host, detected, skips, context });
    },
  };
}

/** A collector and what turns its families into text. */
type EncodedCollector = Collector & { readonly encode: ReturnType<typeof createFamilyEncoder> };

interface Run {
  readonly host: Host;
  /** Collectors that were found to be supported: not asked again while they have something to tell. */
  readonly detected: Set<string>;
  readonly skips: SkipLog;
  readonly context: JobContext;
}

async function runCollector(collector: EncodedCollector, { host, detected, skips, context }: Run): Promise<JobResult> {
  const startedAt = performance.now();
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("deadline reached")), context.deadlineMs * 0.95);
  let families: MetricFamily[] = [];
  let state: CollectState = "ok";
  let error: string | undefined;
  skips.begin();
  try {
    const wasDetected = detected.has(collector.name);
    let detection: Detection = wasDetected ? { supported: true } : await collector.detect(host);
    if (detection.supported) {
      families = await collector.collect(host, controller.signal);
      // Its source may have gone since, with a driver that was unloaded: having nothing is then no success.
      if (wasDetected && families.length === 0) detection = await collector.detect(host);
    }
    if (detection.supported) {
      detected.add(collector.name);
    } else {
      detected.delete(collector.name);
      state = "absent";
      error = detection.reason;
    }
  } catch (thrown) {
    state = thrown instanceof NoDataError ? "absent" : "failed";
    error = String(describeError(thrown));
  } finally {
    clearTimeout(timer);
  }
  const durationSeconds = (performance.now() - startedAt) / 1000;
  const { duplicates, names, series, payload } = encode(families, collector);
  const { count: skipped, fresh: skippedNew } = skips.take();
  const header: CollectHeader = { state, durationSeconds, skipped, skippedNew, duplicates, series, families: names };
  return { header: error === undefined ? { ...header } : { ...header, error }, payload };
}

interface EncodedPage {
  readonly names: readonly (readonly [string, number])[];
  readonly payload: Uint8Array;
  readonly duplicates: number;
  readonly series: number;
}

function encode(families: readonly MetricFamily[], collector: EncodedCollector): EncodedPage {
  const encoded = collector.encode(families);
  const payload = Buffer.from(encoded.map(({ text }) => text).join(""), "utf8");
  const duplicates = encoded.reduce((sum, family) => sum + family.duplicates, 0);
  const samples = families.reduce((sum, family) => sum + family.samples.length, 0);
  const names = encoded.map(({ name, text }) => [name, Buffer.byteLength(text, "utf8")] as const);
  return { names, payload, duplicates, series: samples - duplicates };
}

interface SkipLog {
  readonly add: Host["skipped"];
  begin(): void;
  take(): { readonly count: number; readonly fresh: readonly string[] };
}

/** Collectors run one at a time, so what is reported between `begin` and `take` belongs to one collector. */
function createSkipLog(): SkipLog {
  const known = new Set<string>();
  let count = 0;
  let fresh: string[] = [];
  return {
    add: (what, error) => {
      count++;
      if (known.has(what) || known.size >= skippedRemembered) return;
      known.add(what);
      if (fresh.length < skippedListed) fresh.push(`${what}: ${String(describeError(error))}`);
    },
    begin: () => {
      count = 0;
      fresh = [];
    },
    take: () => ({ count, fresh }),
  };
}
