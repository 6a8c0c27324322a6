import type { Labels, MetricFamily, MetricType, Sample } from "./collector.ts";

/** What a family is called, before it has series. */
export type FamilyHead = Pick<MetricFamily, "name" | "help" | "type">;

export const gauge = (name: string, help: string): FamilyHead => head("gauge", name, help);
export const counter = (name: string, help: string): FamilyHead => head("counter", name, help);
export const untyped = (name: string, help: string): FamilyHead => head("untyped", name, help);

function head(type: MetricType, name: string, help: string): FamilyHead {
  return { name, help, type };
}

type AddSample = (name: string, help: string, value: number | undefined, labels?: Labels) => void;

/**
 * Families that a collector fills series by series, in any order; the help and type of a name's first series stand.
 * An undefined value (an attribute that is absent or could not be read) adds no series.
 */
export interface FamilySet {
  /** For families declared once, in a table or as constants. */
  add(family: FamilyHead, labels: Labels, value: number | undefined): void;
  readonly counter: AddSample;
  readonly gauge: AddSample;
  readonly untyped: AddSample;
  list(): MetricFamily[];
}

const noLabels: Labels = {};

export function createFamilySet(): FamilySet {
  const byName = new Map<string, FamilyHead & { samples: Sample[] }>();
  // Series of a family mostly come one after the other.
  let last: (FamilyHead & { samples: Sample[] }) | undefined;
  const samplesOf = (type: MetricType, name: string, help: string): Sample[] => {
    if (last?.name === name) return last.samples;
    last = byName.get(name);
    if (last === undefined) byName.set(name, (last = { name, help, type, samples: [] }));
    return last.samples;
  };
  const adder =
    (type: MetricType): AddSample =>
    (name, help, value, labels = noLabels) => {
      if (value !== undefined) samplesOf(type, name, help).push({ labels, value });
    };
  return {
    add: ({ type, name, help }, labels, value) => {
      if (value !== undefined) samplesOf(type, name, help).push({ labels, value });
    },
    counter: adder("counter"),
    gauge: adder("gauge"),
    untyped: adder("untyped"),
    list: () => [...byName.values()],
  };
}
