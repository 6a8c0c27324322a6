import type { Static, TObject } from "@sinclair/typebox";
import { describeError } from "../runtime/log.ts";
import {
  type Collector,
  type CollectorDefinition,
  type Detection,
  type MetricFamily,
  NoDataError,
} from "./collector.ts";
import { createPageEncoder } from "./encoded-families.ts";
import type { Host } from "./host.ts";
import type { JobContext, JobHandlers } from "./probe/worker.ts";
import { beginReadings } from "./read.ts";
import { createSystemHost, type HostPaths } from "./system-host.ts";

/** First request of a collector process. Options are complete: the daemon has validated them and filled in defaults. */
export interface CollectSetup {
  readonly paths: HostPaths;
  readonly collectors: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export type CollectState = "ok" | "absent" | "failed";

/** What is told about one collection; the exposition text of its families follows as payload, in their order. */
export interface CollectHeader {
  readonly state: CollectState;
  readonly durationSeconds: number;
  /** Why the state is not "ok". */
  readonly error?: string;
  readonly skipped: number;
  /** Each left-out reading once in the life of the process, for the log. */
  readonly skippedNew?: readonly string[];
  readonly series: number;
  /** Bytes of each family. */
  readonly lengths: readonly number[];
  /** The list of family names that belongs to this collection. */
  readonly namesId: string;
  /** That list, unless the daemon has said that it knows it. */
  readonly names?: readonly string[];
}

/** Parameters of a job: the list of names that came with the collection before. The names hardly ever change. */
export interface CollectParams {
  readonly knownNamesId: string;
}

/** Longer lists of unreadable files say nothing more. */
const skippedRemembered = 1000;
const skippedListed = 20;

/** The jobs `collect NAME` of a collector process: the named collectors with these options on the real machine. */
export function createCollectJobs(definitions: readonly CollectorDefinition[], setup: CollectSetup): JobHandlers {
  const skips = createSkipLog();
  const host = createSystemHost(setup.paths, skips.add);
  const collectors = new Map<string, Readied>();
  const toNameList = createNameLists();
  const create = (name: string): Readied => {
    const definition = definitions.find((candidate) => candidate.name === name);
    const options = setup.collectors[name];
    if (definition === undefined || options === undefined) throw new Error(`no collector ${name} in this process`);
    const collector = definition.create(options as Static<TObject>);
    return { collector, encode: createPageEncoder(), detected: false, nameList: toNameList([]) };
  };
  return {
    collect: async (params, context) => {
      const name = context.job.slice("collect ".length);
      const readied = collectors.get(name) ?? create(name);
      collectors.set(name, readied);
      skips.begin();
      beginReadings();
      const { families, ...reading } = await runCollector(readied, host, context);
      const { names, lengths, text, series } = readied.encode(families);
      if (readied.nameList.names !== names) readied.nameList = toNameList(names);
      const { nameList } = readied;
      const header: CollectHeader = { ...reading, ...skips.take(), series, lengths, namesId: nameList.id };
      const isKnown = (params as CollectParams | null)?.knownNamesId === nameList.id;
      return { header: isKnown ? { ...header } : { ...header, names: nameList.names }, payload: text };
    },
  };
}

/** A collector of this process. */
interface Readied {
  readonly collector: Collector;
  readonly encode: ReturnType<typeof createPageEncoder>;
  /** Found to be supported: not asked again while it has something to tell. */
  detected: boolean;
  nameList: NameList;
}

interface NameList {
  readonly id: string;
  readonly names: readonly string[];
}

/** The ids are no other process's. */
function createNameLists(): (names: readonly string[]) => NameList {
  const process = crypto.randomUUID().slice(0, 8);
  let count = 0;
  return (names) => ({ id: `${process} ${count++}`, names });
}

interface Run extends Pick<CollectHeader, "state" | "durationSeconds" | "error"> {
  readonly families: readonly MetricFamily[];
}

async function runCollector(readied: Readied, host: Host, { deadlineMs }: JobContext): Promise<Run> {
  const { collector } = readied;
  const startedAt = performance.now();
  const elapsed = (): number => (performance.now() - startedAt) / 1000;
  const none = (state: CollectState, error: string): Run => {
    return { state, error, durationSeconds: elapsed(), families: [] };
  };
  try {
    const wasDetected = readied.detected;
    let detection: Detection = wasDetected ? { supported: true } : await collector.detect(host);
    let families: readonly MetricFamily[] = [];
    if (detection.supported) {
      families = await withSignal(deadlineMs, (signal) => collector.collect(host, signal));
      // Its source may have gone since, with a driver that was unloaded: having nothing is then no success.
      if (wasDetected && families.length === 0) detection = await collector.detect(host);
    }
    readied.detected = detection.supported;
    if (!detection.supported) return none("absent", detection.reason);
    return { state: "ok", durationSeconds: elapsed(), families };
  } catch (thrown) {
    return none(thrown instanceof NoDataError ? "absent" : "failed", String(describeError(thrown)));
  }
}

let unusedController = new AbortController();

/** Nearly every collector is done when `work` returns, and costs neither a signal nor a timer. */
async function withSignal<T>(deadlineMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = unusedController;
  const result = work(controller.signal);
  if (Bun.peek.status(result) !== "pending") return result;
  unusedController = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("deadline reached")), deadlineMs * 0.95);
  return result.finally(() => clearTimeout(timer));
}

interface SkipLog {
  readonly add: Host["skipped"];
  begin(): void;
  take(): Pick<CollectHeader, "skipped" | "skippedNew">;
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
    take: () => (fresh.length === 0 ? { skipped: count } : { skipped: count, skippedNew: fresh }),
  };
}
