import { collectorStates, type FamilyBytes, noFamilies, type Reading } from "./reading.ts";

export interface CollectorOutcome {
  readonly name: string;
  readonly reading: Reading;
  readonly skippedTotal: number;
}

interface OwnFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** What the lines of a collector depend on; undefined where it has none. */
  value(outcome: CollectorOutcome): number | string | undefined;
  lines(collector: string, value: number | string): string;
}

const sortedStates = [...collectorStates].sort();

const ownFamilies: readonly OwnFamily[] = [
  {
    name: "aami_collector_reading_age_seconds",
    help: "Age of the readings of a collector that is too slow to be waited for.",
    type: "gauge",
    value: ({ reading: { ageSeconds } }) => (ageSeconds === undefined ? undefined : roundSeconds(ageSeconds)),
    lines: (collector, seconds) => `aami_collector_reading_age_seconds{collector="${collector}"} ${seconds}\n`,
  },
  {
    name: "aami_collector_skipped_reads_total",
    help: "Readings that the collector left out because they could not be read.",
    type: "counter",
    value: ({ skippedTotal }) => skippedTotal,
    lines: (collector, count) => `aami_collector_skipped_reads_total{collector="${collector}"} ${count}\n`,
  },
  {
    name: "aami_collector_state",
    help: "What became of the collector in this scrape: 1 for the one state that it is in.",
    type: "gauge",
    value: ({ reading }) => reading.state,
    lines: (collector, state) =>
      sortedStates
        .map((each) => `aami_collector_state{collector="${collector}",state="${each}"} ${each === state ? 1 : 0}\n`)
        .join(""),
  },
  {
    name: "aami_scrape_series",
    help: "Series that the collector gave to this scrape.",
    type: "gauge",
    value: ({ reading }) => reading.series,
    lines: (collector, count) => `aami_scrape_series{collector="${collector}"} ${count}\n`,
  },
  {
    name: "node_scrape_collector_duration_seconds",
    help: "node_exporter: Duration of a collector scrape.",
    type: "gauge",
    value: ({ reading }) => roundSeconds(reading.durationSeconds),
    lines: (collector, seconds) => `node_scrape_collector_duration_seconds{collector="${collector}"} ${seconds}\n`,
  },
  {
    name: "node_scrape_collector_success",
    help: "node_exporter: Whether a collector succeeded.",
    type: "gauge",
    value: ({ reading }) => (reading.state === "ok" ? 1 : 0),
    lines: (collector, success) => `node_scrape_collector_success{collector="${collector}"} ${success}\n`,
  },
];

/** What the engine says about each collector of a selection: a family of the page. */
export type OutcomeFamily = (outcomes: readonly CollectorOutcome[]) => FamilyBytes;

/**
 * The outcomes are sorted by name and always of the same collectors. Of these hundreds of lines little more than the
 * durations changes: the others are kept as they are.
 */
export function createOutcomeFamilies(): readonly OutcomeFamily[] {
  return ownFamilies.map(createOutcomeFamily);
}

function createOutcomeFamily({ name, help, type, value, lines }: OwnFamily): OutcomeFamily {
  const head = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  const names = [name];
  const values: (number | string | undefined)[] = [];
  const written: string[] = [];
  let families = noFamilies;
  return (outcomes) => {
    let changed = false;
    for (let index = 0; index < outcomes.length; index++) {
      const outcome = outcomes[index] as CollectorOutcome;
      const current = value(outcome);
      if (current === values[index]) continue;
      changed = true;
      values[index] = current;
      written[index] = current === undefined ? "" : lines(outcome.name, current);
    }
    if (!changed) return families;
    const body = written.join("");
    const bytes = Buffer.from(head + body, "latin1");
    families = body === "" ? noFamilies : { names, ends: [bytes.length], bytes };
    return families;
  };
}

/** Microseconds, in few digits. */
function roundSeconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}
