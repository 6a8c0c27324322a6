import { Type as t } from "@sinclair/typebox";
import type { Sample } from "../../collectors/collector.ts";
import { sxids } from "../catalogue/catalogue.ts";
import type { Finding } from "../verdict.ts";
import { defineBuiltin } from "./builtin.ts";
import { listFaults, lookback, mergeFaults, type Observation, toFindings } from "./faults.ts";

export const nvswitchSxid = defineBuiltin({
  name: "nvswitch_sxid",
  description: "Errors of NVSwitches (SXid), by NVIDIA's catalogue and the switch's own word, fatal or not.",
  explanation: [
    "An SXid is an NVSwitch's counterpart of a GPU's Xid. After a fatal one the NVLink traffic of every GPU may be cut: " +
      "jobs over more than one GPU hang or fail until all GPUs and switches are reset, which a reboot does. " +
      "`aami explain sxid N` says what a code means.",
    "Single-bit errors and link replays are corrected by the switch and not judged. On NVLink 5 machines (B200 and " +
      "later) the switches are outside of the node and write nothing here.",
  ],
  source: "kmsg",
  // An NVSwitch connects NVIDIA GPUs.
  companion: "nvidia",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      lookback_hours: lookback.lookback_hours,
      ignore: t.Array(t.Integer({ minimum: 1 }), { default: [], description: "Codes that are not judged." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId, acknowledgedSeconds }) => {
    const times = { nowSeconds, bootId };
    const faults = mergeFaults(memory, toObservations(samples), times);
    const listed = listFaults(faults, times, (key) => acknowledgedSeconds(subjectOf(key)));
    const summary = "no SXid that asks for anything";
    // The kernel log is all that tells of a switch, so without an SXid nothing says that there is one.
    if (listed.length === 0) return { findings: [], summary, memory: faults, absent: "no SXid of an NVSwitch so far" };
    const findings = listed.flatMap((fault): Finding[] => {
      const [, code = "", severity] = fault.key.split(" ");
      const known = sxids.get(Number(code));
      const level = severity === "fatal" ? "critical" : known?.level === "critical" ? "warning" : known?.level;
      if (level === undefined || level === "info" || parameters.ignore.includes(Number(code))) return [];
      const action = known === undefined || known.action === "none" ? "reboot" : known.action;
      const title = known?.title ?? "not in this daemon's catalogue";
      const named: Finding = {
        status: level,
        subject: subjectOf(fault.key),
        summary: `SXid ${code}, ${title}`,
        action,
      };
      return toFindings(fault, named, { nowSeconds, parameters });
    });
    return { findings, summary, memory: faults };
  },
});

function subjectOf(key: string): string {
  return `NVSwitch ${key.split(" ", 1)[0]}`;
}

function toObservations(samples: (family: string) => readonly Sample[]): Observation[] {
  const keyOf = ({ labels }: Sample): string =>
    `${labels["pci_bus_id"] ?? ""} ${labels["sxid"] ?? ""} ${labels["severity"] ?? ""}`;
  const last = new Map(
    samples("aami_nvswitch_sxid_last_timestamp_seconds").map((sample) => [keyOf(sample), sample.value] as const),
  );
  return samples("aami_nvswitch_sxid_errors_total").map((sample) => ({
    key: keyOf(sample),
    lastSeconds: last.get(keyOf(sample)) ?? 0,
    count: sample.value,
  }));
}
