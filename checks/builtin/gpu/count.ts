import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin } from "../builtin.ts";
import { escalate, FaultMemory, listFaults, mergeFaults } from "../faults.ts";
import { missingGpus, Most, observeMost } from "./fewer.ts";
import { type Gpu, readGpus } from "./gpus.ts";
import { countPluggedIn, observeWaiting, unstarted } from "./plugged-in.ts";

const Memory = t.Composite([
  Most,
  t.Object({ faults: FaultMemory, waiting: t.Optional(t.Record(t.String(), t.Number())) }),
]);
type Memory = Static<typeof Memory>;

export const gpuCount = defineBuiltin({
  name: "gpu_count",
  description: "Whether all GPUs are there and answer.",
  explanation: [
    "A lost GPU has fallen off the bus or waits for a reset: nothing that runs on it comes back. A stuck one lets calls " +
      "to the driver hang; it is left alone until it answers. After the Xids 79, 119 and 120 a GPU is not called, " +
      "because such calls tend to hang and take nvidia-smi and the jobs of other GPUs with them.",
    "A GPU on the PCI bus that the driver does not show could not be started: `dmesg -T | grep NVRM` says why. " +
      "Drain the node and reboot it. A GPU that is lost again after two reboots needs to be reseated or replaced. " +
      "Without expected_gpus the node is compared with the most GPUs it has had within a week.",
  ],
  source: "nvidia",
  companion: "gpu_devices",
  intervalSeconds: 30,
  parameters: t.Object(
    { expected_gpus: t.Optional(t.Integer({ minimum: 1, description: "GPUs that this node has to have." })) },
    { additionalProperties: false },
  ),
  grade: ({ parameters: { expected_gpus: expected }, samples, memory, nowSeconds, bootId, companion }) => {
    const gpus = readGpus(samples);
    const times = { nowSeconds, bootId };
    const known: Memory = Value.Check(Memory, memory) ? memory : { most: 0, mostAt: nowSeconds, faults: {} };
    const lost = gpus.filter(({ state }) => state === "lost" || state === "stuck");
    const faults = mergeFaults(
      known.faults,
      lost.map(({ uuid }) => ({ key: uuid, lastSeconds: nowSeconds, count: 1 })),
      times,
    );
    const counts = observeMost(known, gpus.filter(({ state }) => state !== "lost").length, nowSeconds);
    const waiting = observeWaiting(known.waiting ?? {}, gpus, { companion, nowSeconds });
    const history = new Map(listFaults(faults, times).map((fault) => [fault.key, fault]));
    const findings = [
      ...gpus.flatMap((gpu) => judge(gpu, (uuid) => history.get(uuid))),
      // One that was known before it was lost is among the lost.
      ...unstarted(waiting, nowSeconds, (samples("aami_gpu_unopened_devices")[0]?.value ?? 0) - lost.length),
      ...missingGpus(gpus.length, expected, counts),
    ];
    const released = gpus.filter(({ state }) => state === "released").length;
    const aside = released === 0 ? "" : `, ${released} released`;
    const summary = `${count(gpus.length - released, "GPU")} answering${aside}`;
    return { findings, summary, memory: { ...counts, faults, waiting } };
  },
  gradeAbsent: ({ parameters: { expected_gpus: expected }, reason, companion }) => {
    const found = countPluggedIn(companion);
    if (expected === undefined && found === 0) return undefined;
    const status = expected === undefined ? "warning" : "critical";
    const what =
      expected === undefined ? `${count(found, "GPU")} on the PCI bus` : `${count(expected, "GPU")} expected`;
    const summary = `${what}, and no driver: ${reason}`;
    return { findings: [{ status, subject: "", summary, action: "check_configuration" }], summary };
  },
});

function judge(
  { uuid, name, state }: Gpu,
  historyOf: (uuid: string) => ReturnType<typeof listFaults>[number] | undefined,
): Finding[] {
  const fault = historyOf(uuid);
  const action = fault === undefined ? "reboot" : escalate(fault, "reboot");
  switch (state) {
    case "lost":
      return [{ status: "critical", subject: name, summary: "the driver no longer reaches it", action }];
    case "stuck":
      return [{ status: "critical", subject: name, summary: "calls to the driver about it hang", action }];
    case "skipped":
      return [
        {
          status: "critical",
          subject: name,
          summary: "not called since an Xid after which calls hang",
          action: "reboot",
        },
      ];
    case "failed":
      return [{ status: "unknown", subject: name, summary: "it could not be read", action: "none" }];
    default:
      return [];
  }
}
