import { Type as t } from "@sinclair/typebox";
import type { Labels, Sample } from "../../collectors/collector.ts";
import { type ErrorCode, xids } from "../catalogue/catalogue.ts";
import { findNvlinkRule, nvlinkRuleById } from "../catalogue/nvlink.ts";
import type { Finding } from "../verdict.ts";
import { defineBuiltin } from "./builtin.ts";
import { listFaults, lookback, mergeFaults, type Observation, toFindings } from "./faults.ts";

type Meaning = Pick<ErrorCode, "level" | "action" | "title">;

const unknownCode: Meaning = {
  level: "warning",
  action: "contact_support",
  title: "not in this daemon's catalogue",
};

export const gpuXid = defineBuiltin({
  name: "gpu_xid",
  description: "Errors that the NVIDIA driver has reported about a GPU (Xid), by NVIDIA's catalogue.",
  explanation: [
    "The driver writes an Xid to the kernel log when something goes wrong on a GPU. Most are bugs of the application " +
      "(13, 31, 43, 45) and no reason to touch the node; those are counted and not judged here. `aami explain xid N` " +
      "says what a code means. The codes 144 to 150 are errors of an NVLink, and what they ask for depends on the unit and " +
      "the sub-code that the line names: `aami explain xid 149` lists them.",
    "A reboot or a GPU reset ends most of the others. A code that has come back after two reboots within two weeks " +
      "will not go with a third: the suggested action becomes inspect_hardware.",
  ],
  source: "kmsg",
  companion: "nvidia",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      ...lookback,
      ignore: t.Array(t.Integer({ minimum: 1 }), { default: [], description: "Codes that are not judged." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId, companionPresent, companion, acknowledgedSeconds }) => {
    const times = { nowSeconds, bootId };
    const faults = mergeFaults(memory, toObservations(samples), times);
    const listed = listFaults(faults, times, (key) => acknowledgedSeconds(subjectOf(key)));
    const summary = "no Xid that asks for anything";
    if (!companionPresent && listed.length === 0) {
      return { findings: [], summary, memory: faults, absent: "no NVIDIA GPU" };
    }
    const recovered = listRecovered(companion);
    const findings = listed.flatMap((fault): Finding[] => {
      const { code, detail } = parseKey(fault.key);
      const { level, action, title } = meaningOf(code, detail);
      const subject = subjectOf(fault.key);
      if (level === "info" || parameters.ignore.includes(code)) return [];
      if (code === recoveryActionChanged && recovered.has(subject)) return [];
      const named: Finding = { status: level, subject, summary: `Xid ${code}, ${title}`, action };
      return toFindings(fault, named, { nowSeconds, parameters });
    });
    return { findings, summary, memory: faults };
  },
});

const recoveryActionChanged = 154;

/** GPUs that the driver asks nothing for now: whatever the action changed to, it is done. */
function listRecovered(companion: (family: string) => readonly Sample[]): ReadonlySet<string> {
  const idle = new Set(
    companion("aami_gpu_recovery_action").flatMap(({ labels, value }) => (value === 0 ? [labels["uuid"]] : [])),
  );
  const gpus = companion("aami_gpu_info").filter(({ labels }) => idle.has(labels["uuid"]));
  return new Set(gpus.map(({ labels }) => subjectOf(labels["pci_bus_id"] ?? "")));
}

function toObservations(samples: (family: string) => readonly Sample[]): Observation[] {
  const links = observe(
    samples("aami_gpu_nvlink_xid_errors_total"),
    samples("aami_gpu_nvlink_xid_last_timestamp_seconds"),
  );
  const all = observe(samples("aami_gpu_xid_errors_total"), samples("aami_gpu_xid_last_timestamp_seconds"));
  // Those are counted among all others as well; what is left was told without its sub-code.
  const others = all.map((each) => {
    const detailed = links.filter((link) => link.key.startsWith(`${each.key} `));
    return { ...each, count: each.count - detailed.reduce((sum, link) => sum + link.count, 0) };
  });
  return [...links, ...others.filter((each) => each.count > 0)];
}

/** Errors that ask for the same are one fault. */
function observe(counts: readonly Sample[], times: readonly Sample[]): Observation[] {
  const byKey = new Map<string, Observation>();
  const last = new Map(times.map((sample) => [JSON.stringify(sample.labels), sample.value]));
  for (const { labels, value } of counts) {
    // Counted from 0, so that an alert sees the first one.
    if (value === 0) continue;
    const key = keyOf(labels);
    const known = byKey.get(key) ?? { key, lastSeconds: 0, count: 0 };
    const lastSeconds = Math.max(known.lastSeconds, last.get(JSON.stringify(labels)) ?? 0);
    byKey.set(key, { key, lastSeconds, count: known.count + value });
  }
  return [...byKey.values()];
}

/** GPU, code and, of an NVLink, which of the catalogue's rules it is, or else the driver's word: "0000:3b:00 149 fatal". */
function keyOf({ pci_bus_id: device = "", xid: code = "", error_info: info, ...rest }: Labels): string {
  if (info === undefined) return `${device} ${code}`;
  const { error_status: status = "", severity = "" } = rest;
  const rule = findNvlinkRule(Number(code), info, status);
  const isTrusted = rule !== undefined && (rule.level !== "info" || severity !== "fatal");
  return `${device} ${code} ${isTrusted ? rule.id : severity}`;
}

function subjectOf(key: string): string {
  return `GPU ${key.split(" ", 1)[0]}`;
}

function parseKey(key: string): { code: number; detail: string | undefined } {
  const [, code = "", detail] = key.split(" ");
  return { code: Number(code), detail };
}

function meaningOf(code: number, detail: string | undefined): Meaning {
  const known = xids.get(code) ?? unknownCode;
  if (detail === undefined) return known;
  const rule = nvlinkRuleById(code, detail);
  if (rule !== undefined) {
    const { level, action, unit, subcode, hint } = rule;
    return { level, action, title: `${known.title}, ${unit} ${subcode}${hint && ` (${hint})`}` };
  }
  if (detail === "fatal") return { ...known, level: "critical", title: `${known.title}, fatal` };
  return detail === "nonfatal" ? { ...known, action: "contact_support", title: `${known.title}, not fatal` } : known;
}
