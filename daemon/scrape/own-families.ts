import { collectorStates, type FamilyBytes, type Reading } from "./reading.ts";

export interface CollectorOutcome {
  readonly name: string;
  readonly reading: Reading;
  readonly skippedTotal: number;
}

interface OwnFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** The lines of one collector. */
  lines(outcome: CollectorOutcome): string;
}

const ownFamilies: readonly OwnFamily[] = [
  {
    name: "aami_collector_reading_age_seconds",
    help: "Age of the readings of a collector that is too slow to be waited for.",
    type: "gauge",
    lines: ({ name, reading: { ageSeconds } }) =>
      ageSeconds === undefined
        ? ""
        : `aami_collector_reading_age_seconds{collector="${name}"} ${formatSeconds(ageSeconds)}\n`,
  },
  {
    name: "aami_collector_skipped_reads_total",
    help: "Readings that the collector left out because they could not be read.",
    type: "counter",
    lines: ({ name, skippedTotal }) => `aami_collector_skipped_reads_total{collector="${name}"} ${skippedTotal}\n`,
  },
  {
    name: "aami_collector_state",
    help: "What became of the collector in this scrape: 1 for the one state that it is in.",
    type: "gauge",
    lines: ({ name, reading }) => stateLines(name, reading.state),
  },
  {
    name: "aami_scrape_series",
    help: "Series that the collector gave to this scrape.",
    type: "gauge",
    lines: ({ name, reading }) => `aami_scrape_series{collector="${name}"} ${reading.series}\n`,
  },
  {
    name: "node_scrape_collector_duration_seconds",
    help: "node_exporter: Duration of a collector scrape.",
    type: "gauge",
    lines: ({ name, reading }) =>
      `node_scrape_collector_duration_seconds{collector="${name}"} ${formatSeconds(reading.durationSeconds)}\n`,
  },
  {
    name: "node_scrape_collector_success",
    help: "node_exporter: Whether a collector succeeded.",
    type: "gauge",
    lines: ({ name, reading }) =>
      `node_scrape_collector_success{collector="${name}"} ${reading.state === "ok" ? 1 : 0}\n`,
  },
];

/** What the engine says about each collector. `outcomes` are sorted by name. */
export function describeOutcomes(outcomes: readonly CollectorOutcome[]): FamilyBytes[] {
  if (outcomes.length === 0) return [];
  return ownFamilies.flatMap(({ name, help, type, lines }) => {
    let text = "";
    for (const outcome of outcomes) text += lines(outcome);
    if (text === "") return [];
    return [{ name, bytes: Buffer.from(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${text}`, "latin1") }];
  });
}

// The same few hundred strings at every scrape.
const stateCache = new Map<string, string>();

function stateLines(collector: string, state: string): string {
  const key = `${collector} ${state}`;
  const known = stateCache.get(key);
  if (known !== undefined) return known;
  const lines = [...collectorStates]
    .sort()
    .map(
      (candidate) =>
        `aami_collector_state{collector="${collector}",state="${candidate}"} ${candidate === state ? 1 : 0}\n`,
    )
    .join("");
  stateCache.set(key, lines);
  return lines;
}

/** Shortest digits; JavaScript changes to the exponent form later than Go, and both are read everywhere. */
function formatSeconds(seconds: number): string {
  return String(Math.round(seconds * 1e9) / 1e9);
}
