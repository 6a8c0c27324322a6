import { Type as t } from "@sinclair/typebox";
import type { Sample } from "../../collectors/collector.ts";
import { type ErrorCode, xids } from "../catalogue/catalogue.ts";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, duration } from "./builtin.ts";
import { escalate, type Fault, isCured, listFaults, mergeFaults, type Observation } from "./faults.ts";

const unknownCode: Omit<ErrorCode, "code"> = {
  level: "warning",
  action: "contact_support",
  mnemonic: "",
  title: "not in this daemon's catalogue",
};

export const gpuXid = defineBuiltin({
  name: "gpu_xid",
  description: "Errors that the NVIDIA driver has reported about a GPU (Xid), by NVIDIA's catalogue.",
  explanation: [
    "The driver writes an Xid to the kernel log when something goes wrong on a GPU. Most are bugs of the application " +
      "(13, 31, 43, 45) and no reason to touch the node; those are counted and not judged here. `aami explain xid N` " +
      "says what a code means.",
    "A reboot or a GPU reset ends most of the others. A code that has come back after two reboots within two weeks " +
      "will not go with a third: the suggested action becomes inspect_hardware.",
  ],
  source: "kmsg",
  companion: "nvidia",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      lookback_hours: t.Number({
        default: 72,
        exclusiveMinimum: 0,
        description: "How long an error of this run of the kernel counts.",
      }),
      application_hours: t.Number({
        default: 1,
        exclusiveMinimum: 0,
        description: "The same for errors that end with the application.",
      }),
      ignore: t.Array(t.Integer({ minimum: 1 }), { default: [], description: "Codes that are not judged." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId, companionPresent }) => {
    const times = { nowSeconds, bootId };
    const faults = mergeFaults(memory, toObservations(samples), times);
    const listed = listFaults(faults, times);
    const summary = "no Xid that asks for anything";
    if (!companionPresent && listed.length === 0) {
      return { findings: [], summary, memory: faults, absent: "no NVIDIA GPU" };
    }
    const findings = listed.flatMap((fault): Finding[] => {
      const { device, code } = parseKey(fault.key);
      const known = xids.get(code) ?? unknownCode;
      const { application_hours: applicationHours, lookback_hours: hours, ignore } = parameters;
      const counts = (known.action === "check_application" ? applicationHours : hours) * 3600;
      if (known.level === "info" || ignore.includes(code)) return [];
      if (nowSeconds - fault.lastSeconds > counts || isCured(fault, known.action)) return [];
      const summary = `Xid ${code}, ${known.title}; ${describeFault(fault, nowSeconds)}`;
      return [{ status: known.level, subject: `GPU ${device}`, summary, action: escalate(fault, known.action) }];
    });
    return { findings, summary, memory: faults };
  },
});

function toObservations(samples: (family: string) => readonly Sample[]): Observation[] {
  const last = new Map(
    samples("aami_gpu_xid_last_timestamp_seconds").map((sample) => [keyOf(sample), sample.value] as const),
  );
  return samples("aami_gpu_xid_errors_total").map((sample) => ({
    key: keyOf(sample),
    lastSeconds: last.get(keyOf(sample)) ?? 0,
    count: sample.value,
  }));
}

function keyOf({ labels }: Sample): string {
  return `${labels["pci_bus_id"] ?? ""} ${labels["xid"] ?? ""}`;
}

function parseKey(key: string): { device: string; code: number } {
  const [device = "", code = ""] = key.split(" ");
  return { device, code: Number(code) };
}

/** "3 times, last 5 min ago, again after 2 reboots" */
export function describeFault({ count: times, lastSeconds, reboots }: Fault, nowSeconds: number): string {
  const age = `${duration(nowSeconds - lastSeconds)} ago`;
  const often = times === 1 ? age : `${times} times, last ${age}`;
  return reboots === 0 ? often : `${often}, again after ${count(reboots, "reboot")}`;
}
