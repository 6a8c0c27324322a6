import type { CheckResult } from "./check.ts";

/** Refuses a check that keeps inventing label values: each of them stays in Prometheus' memory for hours. */
export interface SeriesMemory {
  /** The result as it is, or without its series when it would be one distinct series too many within a day. */
  judge(result: CheckResult, nowSeconds: number): CheckResult;
}

const windowSeconds = 24 * 3600;

export function createSeriesMemory(maxSeries: number): SeriesMemory {
  const lastSeen = new Map<string, number>();
  return {
    judge: (result, nowSeconds) => {
      for (const [series, seen] of lastSeen) if (nowSeconds - seen > windowSeconds) lastSeen.delete(series);
      const series = seriesOf(result);
      const added = series.filter((name) => !lastSeen.has(name)).length;
      if (lastSeen.size + added > maxSeries) {
        const message = `more than ${maxSeries} different series within a day: a label changes with every run`;
        return { ...result, error: "cardinality", message, families: [] };
      }
      for (const name of series) lastSeen.set(name, nowSeconds);
      return result;
    },
  };
}

function seriesOf({ families }: CheckResult): string[] {
  return families.flatMap(({ name, samples }) =>
    samples.map(({ labels, suffix = "" }) => Bun.hash(`${name}${suffix}${JSON.stringify(labels)}`).toString(36)),
  );
}
