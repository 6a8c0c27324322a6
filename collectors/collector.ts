import type { Static, TObject } from "@sinclair/typebox";
import type { Logger } from "../runtime/log.ts";
import type { EventLog } from "./events.ts";
import type { Host } from "./host.ts";

export type MetricType = "counter" | "gauge" | "untyped" | "histogram" | "summary";
export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Only for the parts of a histogram or summary. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
}

/** All series of one name. `help` is a sentence; an empty `samples` list publishes nothing, not even HELP. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly samples: readonly Sample[];
  /** The file that someone else's metrics were read from, to blame when they clash with a family of our own. */
  readonly source?: string;
}

export type Detection = { readonly supported: true } | { readonly supported: false; readonly reason: string };

/**
 * One source of metrics. `collect` returns a fresh reading or throws, never a remembered value. It runs in the
 * collector process, one at a time, so it may use plain synchronous reads: whoever calls it has a deadline and
 * leaves a stuck process behind. A single unreadable file is reported with `host.skipped()` and costs its own
 * series only.
 */
export interface Collector {
  readonly name: string;
  readonly description: string;
  readonly enabledByDefault: boolean;
  /** "Not there" (no such hardware, kernel without the file) as opposed to "failed"; reported as state `absent`. */
  detect(host: Host): Promise<Detection>;
  collect(host: Host, signal: AbortSignal): Promise<MetricFamily[]>;
}

/** Thrown by `collect` when the source turns out not to be there: state `absent`, success 0, no error in the log. */
export class NoDataError extends Error {
  override readonly name = "NoDataError";
}

/**
 * What a collector file exports. `name` is snake_case and equals the config key, the flag and the `collector` label.
 * Every property of `options` may carry `flag: "collector.NAME.option"` (node_exporter's spelling): the command line,
 * the YAML schema and --print-config-schema are all made from this one schema. `hidden: true` keeps a flag out of --help;
 * `path: true` says that the value is a path, which a collector always sees as an absolute one.
 */
export interface CollectorDefinition<Options extends TObject = TObject> {
  readonly name: string;
  readonly description: string;
  readonly enabledByDefault: boolean;
  /** True: `create` returns a BackgroundCollector, which belongs into the daemon process and nowhere else. */
  readonly background: boolean;
  /** True: no page has it. Only checks read it, once a minute, so it may cost what a scrape may not. */
  readonly forChecks?: true;
  readonly options: Options;
  create(options: Static<Options>): Collector;
}

/** What a collector file writes: the contract less what the definition already says. */
export type CollectorBody = Pick<Collector, "collect"> & Partial<Pick<Collector, "detect">>;

export function defineCollector<Options extends TObject>(
  definition: Omit<CollectorDefinition<Options>, "create" | "background"> & {
    create(options: Static<Options>): CollectorBody;
  },
): CollectorDefinition<Options> {
  const { name, description, enabledByDefault } = definition;
  return {
    ...definition,
    background: false,
    create: (options) => ({
      name,
      description,
      enabledByDefault,
      detect: alwaysSupported,
      ...definition.create(options),
    }),
  };
}

async function alwaysSupported(): Promise<Detection> {
  return { supported: true };
}

/** What a background collector is started with. */
export interface BackgroundContext {
  readonly host: Host;
  readonly log: Logger;
  readonly events: EventLog;
}

/**
 * A source that has to be watched between scrapes (mounts, SMART, GPUs). It runs in the daemon process, so it may
 * itself touch nothing that can block: its readings come from probe processes, and `collect` only reads memory and
 * publishes how old each cached value is.
 */
export interface BackgroundCollector extends Collector {
  start(context: BackgroundContext): void;
  stop(): Promise<void>;
}

export function defineBackgroundCollector<Options extends TObject>(
  definition: Omit<CollectorDefinition<Options>, "create" | "background"> & {
    create(options: Static<Options>): CollectorBody & Pick<BackgroundCollector, "start" | "stop">;
  },
): Omit<CollectorDefinition<Options>, "create"> & { create(options: Static<Options>): BackgroundCollector } {
  const { name, description, enabledByDefault } = definition;
  return {
    ...definition,
    background: true,
    create: (options) => ({
      name,
      description,
      enabledByDefault,
      detect: alwaysSupported,
      ...definition.create(options),
    }),
  };
}

/** Tells what `create` of a definition with `background: true` returned from the others. */
export function isBackgroundCollector(collector: Collector): collector is BackgroundCollector {
  return "start" in collector;
}
