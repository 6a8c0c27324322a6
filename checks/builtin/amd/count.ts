import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, timeOf } from "../builtin.ts";
import { missingGpus, Most, observeMost } from "../gpu/fewer.ts";
import { type AmdGpu, readAmdGpus } from "./gpus.ts";

/** By PCI address: since when the GPU cannot be read. */
const Memory = t.Composite([Most, t.Object({ unreadable: t.Record(t.String(), t.Number()) })]);
type Memory = Static<typeof Memory>;

export const amdGpuCount = defineBuiltin({
  name: "amd_gpu_count",
  description: "Whether all AMD GPUs are there and can be read.",
  explanation: [
    "The driver refuses every file of a GPU while it resets it, which takes seconds. A GPU that cannot be read for minutes " +
      "did not come back from its reset, or is gone from the bus: the kernel log (`dmesg -T | grep amdgpu`) says which.",
    "Drain the node and reboot it. A GPU that is not there after that needs to be reseated or replaced. Without " +
      "expected_gpus the node is compared with the most GPUs it has had within a week. A GPU that power management has " +
      "suspended is well.",
  ],
  source: "amdgpu",
  intervalSeconds: 30,
  parameters: t.Object(
    {
      expected_gpus: t.Optional(t.Integer({ minimum: 1, description: "GPUs that this node has to have." })),
      reset_seconds: t.Number({
        default: 300,
        minimum: 0,
        description: "Time without a reading that is critical; before that it is unknown what the GPU does.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const gpus = readAmdGpus(samples);
    const known: Memory = Value.Check(Memory, memory) ? memory : { most: 0, mostAt: nowSeconds, unreadable: {} };
    const silent = gpus.filter(({ state }) => state === "unreadable");
    const unreadable = Object.fromEntries(
      silent.map(({ pciBusId }) => [pciBusId, known.unreadable[pciBusId] ?? nowSeconds]),
    );
    const counts = observeMost(known, gpus.length, nowSeconds);
    const findings = [
      ...silent.map((gpu) => judge(gpu, unreadable[gpu.pciBusId] ?? nowSeconds, nowSeconds - parameters.reset_seconds)),
      ...missingGpus(gpus.length, parameters.expected_gpus, counts),
    ];
    return { findings, summary: `${count(gpus.length, "GPU")} there`, memory: { ...counts, unreadable } };
  },
  gradeAbsent: ({ parameters: { expected_gpus: expected }, reason }) => {
    if (expected === undefined) return undefined;
    const summary = `${count(expected, "GPU")} expected, none found: ${reason}`;
    return { findings: [{ status: "critical", subject: "", summary, action: "reboot" }], summary };
  },
});

/** Silent since the first of these; since before the other one no reset takes. */
function judge({ name: subject }: AmdGpu, since: number, longSince: number): Finding {
  if (since > longSince) {
    const summary = "cannot be read, perhaps it is being reset";
    return { status: "unknown", subject, summary, action: "none" };
  }
  return { status: "critical", subject, summary: `has not been read since ${timeOf(since)}`, action: "reboot" };
}
