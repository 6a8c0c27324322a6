import type { CollectorReading, Readings } from "../../checks/readings.ts";
import type { Sample } from "../../collectors/collector.ts";
import { parseTextFormat } from "../../collectors/text-parser.ts";
import { describeError } from "../../runtime/log.ts";
import type { ScrapeEngine } from "./engine.ts";
import type { FamilyBytes, Reading } from "./reading.ts";

/** A check that comes just after a scrape, or after another check of the same source, has that one's reading. */
const maxAgeMs = 5_000;
/** Of a collector that is too slow to be waited for; older than this it says nothing about now. */
const oldestSeconds = 120;

/** What checks see of the collectors. `engine` is asked anew each time, so that a reload takes effect. */
export function createReadings(
  engine: () => Pick<ScrapeEngine, "reading"> | undefined,
  timeoutMs: () => number,
): Readings {
  return {
    read: async (collector) => {
      const current = engine();
      if (current === undefined) return { state: "failed", reason: "the collectors have not started" };
      const reading = await current.reading(collector, { maxAgeMs, deadlineMs: timeoutMs() });
      return reading === undefined
        ? { state: "absent", reason: `the ${collector} collector is switched off` }
        : toCollectorReading(reading);
    },
  };
}

function toCollectorReading({ state, error, families, ageSeconds = 0 }: Reading): CollectorReading {
  if (state === "absent") return { state, reason: error ?? "not on this node" };
  if (ageSeconds > oldestSeconds)
    return { state: "failed", reason: `the newest reading is ${Math.round(ageSeconds)} s old` };
  if (state !== "ok") return { state: "failed", reason: error ?? state };
  try {
    return { state, samples: decodeOnDemand(families) };
  } catch (cause) {
    return { state: "failed", reason: String(describeError(cause)) };
  }
}

/** A check wants a few families of a source; the others stay bytes. */
function decodeOnDemand({ names, ends, bytes }: FamilyBytes): (name: string) => readonly Sample[] {
  const decoded = new Map<string, readonly Sample[]>();
  return (name) => {
    const known = decoded.get(name);
    if (known !== undefined) return known;
    const index = names.indexOf(name);
    const family = index < 0 ? bytes.subarray(0, 0) : bytes.subarray(ends[index - 1] ?? 0, ends[index]);
    const samples = parseTextFormat(family).flatMap(({ plain }) => plain);
    decoded.set(name, samples);
    return samples;
  };
}
