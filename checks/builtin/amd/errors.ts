import { Type as t } from "@sinclair/typebox";
import type { Sample } from "../../../collectors/collector.ts";
import type { Action, Finding } from "../../verdict.ts";
import { defineBuiltin } from "../builtin.ts";
import { type Fault, listFaults, lookback, mergeFaults, type Observation, toFindings } from "../faults.ts";

interface Meaning {
  readonly status: "warning" | "critical";
  readonly action: Action;
  readonly words: string;
}

/** By kind of event in the kernel log, and its severity where that matters. What is not here is counted only. */
const meanings: Readonly<Record<string, Meaning>> = {
  amdgpu_bad_pages: { status: "critical", action: "inspect_hardware", words: "too many bad memory pages" },
  amdgpu_init_failed: { status: "critical", action: "reboot", words: "the driver could not start it" },
  amdgpu_page_fault: { status: "warning", action: "check_application", words: "a job has met page faults" },
  amdgpu_poison: { status: "critical", action: "reset_gpu", words: "poisoned data was used or made" },
  amdgpu_queue_timeout: { status: "warning", action: "check_application", words: "a compute queue hung" },
  "amdgpu_ras critical": { status: "critical", action: "reset_gpu", words: "uncorrected hardware errors" },
  amdgpu_reset: { status: "critical", action: "reboot", words: "its reset has not come to an end" },
  amdgpu_reset_failed: { status: "critical", action: "reboot", words: "its reset has failed" },
  amdgpu_ring_timeout: { status: "warning", action: "check_application", words: "a job hung on it" },
  amdgpu_throttled: { status: "warning", action: "inspect_hardware", words: "it was throttled by heat" },
};
/** The driver has got it back; what ran on it is lost. */
const wasReset: Meaning = { status: "warning", action: "check_application", words: "the driver has reset it" };
const isBeingReset: Meaning = { status: "warning", action: "none", words: "it is being reset" };
/** A reset takes seconds. */
const resetSeconds = 60;

export const amdGpuErrors = defineBuiltin({
  name: "amd_gpu_errors",
  description: "Resets, hangs and hardware errors of AMD GPUs in the kernel log.",
  explanation: [
    "The amdgpu driver resets a GPU that hangs or has met an uncorrected error, and every job on it ends. After a reset that " +
      "succeeded the GPU is usable: look at the job that hung. After one that failed only a reboot helps. `dmesg -T | grep " +
      "amdgpu` has the lines.",
    "A reboot ends most of these. What has come back after two reboots within two weeks will not go with a third: the " +
      "suggested action becomes inspect_hardware. Corrected errors are counted and not judged.",
  ],
  source: "kmsg",
  companion: "amdgpu",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      ...lookback,
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId, companionPresent, acknowledgedSeconds }) => {
    const times = { nowSeconds, bootId };
    const faults = mergeFaults(memory, toObservations(samples), times);
    const listed = listFaults(faults, times, (key) => acknowledgedSeconds(subjectOf(key)));
    const summary = "no reset or error that asks for anything";
    if (!companionPresent && listed.length === 0) {
      return { findings: [], summary, memory: faults, absent: "no GPU of the amdgpu driver" };
    }
    const findings = listed.flatMap((fault): Finding[] => {
      const { device, event, severity } = parseKey(fault.key);
      const meaning = meaningOf({ event, severity, device, fault }, listed, nowSeconds);
      if (meaning === undefined) return [];
      const { status, action, words } = meaning;
      const named: Finding = { status, subject: subjectOf(fault.key), summary: words, action };
      return toFindings(fault, named, { nowSeconds, parameters });
    });
    return { findings, summary, memory: faults };
  },
});

interface Judged {
  readonly event: string;
  readonly severity: string;
  readonly device: string;
  readonly fault: Fault;
}

/** Undefined for what nobody has to look at. */
function meaningOf(judged: Judged, all: readonly Fault[], nowSeconds: number): Meaning | undefined {
  const { event, severity, device, fault } = judged;
  if (event !== "amdgpu_reset") return meanings[event] ?? meanings[`${event} ${severity}`];
  const isAfter = ({ key, lastSeconds }: Fault): boolean =>
    key.startsWith(`${device} amdgpu_reset_succeeded `) && lastSeconds >= fault.lastSeconds;
  if (all.some(isAfter)) return wasReset;
  return nowSeconds - fault.lastSeconds < resetSeconds ? isBeingReset : meanings[event];
}

function toObservations(samples: (family: string) => readonly Sample[]): Observation[] {
  const last = new Map(
    samples("aami_kernel_log_last_event_timestamp_seconds").map((sample) => [keyOf(sample), sample.value] as const),
  );
  return samples("aami_kernel_log_events_total")
    .filter(({ labels }) => labels["event"]?.startsWith("amdgpu_"))
    .map((sample) => ({ key: keyOf(sample), lastSeconds: last.get(keyOf(sample)) ?? 0, count: sample.value }));
}

function keyOf({ labels }: Sample): string {
  return `${labels["device"] ?? ""} ${labels["event"] ?? ""} ${labels["severity"] ?? ""}`;
}

/** Some lines name no device. */
function subjectOf(key: string): string {
  return `AMD GPU ${parseKey(key).device}`.trimEnd();
}

function parseKey(key: string): { device: string; event: string; severity: string } {
  const [device = "", event = "", severity = ""] = key.split(" ");
  return { device, event, severity };
}
