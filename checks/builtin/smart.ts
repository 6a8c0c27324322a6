import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, type GradeInput, happened } from "./builtin.ts";

/** By device and counter: what it was, and when it last grew. */
const Memory = t.Record(t.String(), t.Object({ value: t.Number(), grewAt: t.Optional(t.Number()) }));
type Memory = Record<string, { value: number; grewAt?: number }>;

/** smartctl(8): the disk is failing; an attribute is below its threshold; it once was; the self-test log has errors. */
const bits = { failing: 8, belowThreshold: 16, wasBelowThreshold: 32, selfTest: 128 };
/** NVMe base specification, SMART log, critical warning. */
const nvmeWarnings = [
  "spare capacity is low",
  "temperature is out of range",
  "reliability is degraded",
  "media is read-only",
  "the backup of its volatile memory has failed",
  "persistent memory is read-only or unreliable",
];
const temperatureBit = 2;
/** Reallocated sectors, reported uncorrectable, pending sectors, offline uncorrectable. */
const sectorAttributes: Readonly<Record<string, string>> = {
  "5": "reallocated sectors",
  "187": "uncorrectable errors",
  "197": "pending sectors",
  "198": "sectors uncorrectable offline",
};

export const smartHealth = defineBuiltin({
  name: "smart",
  description: "What disks say about themselves by SMART, and counters of errors that grow.",
  explanation: [
    "A disk that calls itself failing, that reports a critical warning (NVMe) or whose attributes are below their " +
      "thresholds is to be replaced soon; copy what is on it first. Counters of bad sectors and of uncorrected errors " +
      "are a warning for a day after they have grown: what a disk has had for years says little.",
    "Unknown: smartctl gave no answer for the disk, which says nothing about its health. " +
      "aami_smart_device_state says why; a disk that hangs smartctl also shows in the check d_state.",
  ],
  source: "smart",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      growth_hours: t.Number({
        default: 24,
        exclusiveMinimum: 0,
        description: "How long the growth of a counter of errors is a warning.",
      }),
      ignore: t.Array(t.String(), { default: [], description: "Disks that are not judged, as in the label device." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const judged = (family: string): readonly Sample[] =>
      samples(family).filter(({ labels }) => !parameters.ignore.includes(labels["device"] ?? ""));
    const states = judged("aami_smart_device_state").filter(({ value }) => value === 1);
    if (states.length === 0) return { findings: [], summary: "", absent: "no disk with SMART" };
    const serials = new Map(judged("smartctl_device").map(({ labels }) => [labels["device"], labels["serial_number"]]));
    const known = observe(memory, readCounters(judged), { serials, nowSeconds });
    const devices = new Set(states.map(({ labels }) => labels["device"] ?? ""));
    const counters = Object.fromEntries(Object.entries(known).filter(([key]) => isThere(key, devices, serials)));
    const findings = [
      ...verdicts(judged),
      ...criticalWarnings(judged("smartctl_device_critical_warning")),
      ...growth(counters, nowSeconds - parameters.growth_hours * 3600),
      ...silent(states),
    ];
    return { findings, summary: `${count(states.length, "disk")} without complaint`, memory: counters };
  },
});

type Judged = GradeInput<unknown>["samples"];

function verdicts(judged: Judged): Finding[] {
  const failing = new Set(
    judged("smartctl_device_smart_status")
      .filter(({ value }) => value === 0)
      .map(({ labels }) => labels["device"] ?? ""),
  );
  const named = [...failing].map((subject): Finding => {
    return { status: "critical", subject, summary: "the disk calls itself failing", action: "inspect_hardware" };
  });
  const exits = judged("smartctl_device_smartctl_exit_status").flatMap(({ labels, value }): Finding[] => {
    const subject = labels["device"] ?? "";
    const has = (bit: number): boolean => (value & bit) !== 0;
    if (failing.has(subject)) return [];
    if (has(bits.failing)) {
      return [{ status: "critical", subject, summary: "the disk calls itself failing", action: "inspect_hardware" }];
    }
    if (has(bits.belowThreshold)) {
      const summary = "an attribute is below its threshold";
      return [{ status: "critical", subject, summary, action: "inspect_hardware" }];
    }
    if (has(bits.wasBelowThreshold)) {
      return [{ status: "warning", subject, summary: "an attribute was below its threshold once", action: "none" }];
    }
    if (!has(bits.selfTest)) return [];
    return [{ status: "warning", subject, summary: "a self-test has found errors", action: "inspect_hardware" }];
  });
  return [...named, ...exits];
}

function criticalWarnings(samples: readonly Sample[]): Finding[] {
  return samples.flatMap(({ labels, value }) => {
    if (value === 0) return [];
    const named = nvmeWarnings.filter((_words, bit) => (value & (1 << bit)) !== 0);
    const summary = named.length === 0 ? `critical warning ${value}` : named.join("; ");
    // Heat is for the fans, and passes.
    const status = value === temperatureBit ? "warning" : "critical";
    return [{ status, subject: labels["device"] ?? "", summary, action: "inspect_hardware" }];
  });
}

interface ErrorCounter {
  readonly device: string;
  readonly what: string;
  readonly value: number;
}

function readCounters(judged: Judged): ErrorCounter[] {
  const plain = (family: string, what: string): ErrorCounter[] =>
    judged(family).map(({ labels, value }) => ({ device: labels["device"] ?? "", what, value }));
  const sectors = judged("smartctl_device_attribute").flatMap(({ labels, value }) => {
    const what = sectorAttributes[labels["attribute_id"] ?? ""];
    return what === undefined || labels["attribute_value_type"] !== "raw"
      ? []
      : [{ device: labels["device"] ?? "", what, value }];
  });
  return [
    ...plain("smartctl_device_media_errors", "media errors"),
    ...plain("smartctl_scsi_grown_defect_list", "grown defects"),
    ...plain("smartctl_read_total_uncorrected_errors", "uncorrected read errors"),
    ...plain("smartctl_write_total_uncorrected_errors", "uncorrected write errors"),
    ...sectors,
  ];
}

/** By device. A disk that does not answer tells none. */
type Serials = ReadonlyMap<string | undefined, string | undefined>;

/** Of the disks that are there now: another disk under the name of the one before has counters of its own. */
function isThere(key: string, devices: ReadonlySet<string>, serials: Serials): boolean {
  const [device = "", , serial = ""] = key.split("\n");
  return devices.has(device) && (serials.get(device) ?? serial) === serial;
}

function observe(
  memory: unknown,
  counters: readonly ErrorCounter[],
  { serials, nowSeconds }: { readonly serials: Serials; readonly nowSeconds: number },
): Memory {
  const before: Memory = Value.Check(Memory, memory) ? memory : {};
  const entries = counters.map(({ device, what, value }) => {
    const key = `${device}\n${what}\n${serials.get(device) ?? ""}`;
    const known = before[key];
    const grewAt = known !== undefined && value > known.value ? nowSeconds : known?.grewAt;
    return [key, { value, ...(grewAt !== undefined && { grewAt }) }] as const;
  });
  // A disk that sleeps or does not answer for a while keeps what is known of it.
  return { ...before, ...Object.fromEntries(entries) };
}

function growth(counters: Memory, sinceSeconds: number): Finding[] {
  return Object.entries(counters).flatMap(([key, { value, grewAt }]) => {
    const [subject = "", what = ""] = key.split("\n");
    if (grewAt === undefined || grewAt < sinceSeconds) return [];
    const summary = `${what} have grown to ${value}`;
    return [{ status: "warning", subject, summary, action: "inspect_hardware", ...happened(grewAt) }];
  });
}

function silent(states: readonly Sample[]): Finding[] {
  const fine = ["ok", "standby", "unsupported"];
  return states.flatMap(({ labels }): Finding[] => {
    const { device: subject = "", state = "" } = labels;
    if (fine.includes(state)) return [];
    if (state === "dead") {
      const given = "the kernel has given the controller up";
      return [{ status: "critical", subject, summary: given, action: "inspect_hardware" }];
    }
    const summary = `smartctl gives no answer (${state.replaceAll("_", " ")})`;
    return [{ status: "unknown", subject, summary, action: state === "stuck" ? "inspect_hardware" : "none" }];
  });
}
