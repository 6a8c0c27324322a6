import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, happened } from "../builtin.ts";
import { escalate, FaultMemory, listFaults, mergeFaults } from "../faults.ts";
import { type Gpu, readable, readGpus } from "./gpus.ts";

const Memory = t.Object({
  /** By UUID. */
  gpus: t.Record(
    t.String(),
    t.Object({
      most: t.Number(),
      recoveries: t.Optional(t.Number()),
      recoveredAt: t.Optional(t.Number()),
    }),
  ),
  /** GPUs that have lost links. */
  faults: FaultMemory,
});
type Memory = Static<typeof Memory>;

export const gpuNvlink = defineBuiltin({
  name: "gpu_nvlink",
  description: "NVLinks that are down, and links that have to recover.",
  explanation: [
    "A GPU that has lost NVLinks talks to its peers slower or over PCIe; jobs over several GPUs fail or crawl. " +
      "`nvidia-smi nvlink --status` names the links, `nvidia-smi topo -m` what is left of the topology.",
    "A reset of all GPUs trains the links anew, which a reboot does as well. Links that stay down are a matter of the " +
      "bridge, the board or the NVSwitch; after two reboots within two weeks the suggested action is inspect_hardware. Without expected_links a GPU is compared with the most links it has had.",
  ],
  source: "nvidia",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      expected_links: t.Optional(
        t.Integer({ minimum: 0, description: "Links of each GPU that have to be active; 18 for H100 SXM." }),
      ),
      recovery_hours: t.Number({
        default: 1,
        exclusiveMinimum: 0,
        description: "How long a link that had to recover is a warning.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds, bootId }) => {
    const before: Memory = Value.Check(Memory, memory) ? memory : { gpus: {}, faults: {} };
    const gpus = readable(readGpus(samples)).filter((gpu) => activeLinks(gpu) !== undefined);
    if (gpus.length === 0) return { findings: [], summary: "", absent: "no GPU with NVLink" };
    const after = Object.fromEntries(gpus.map((gpu) => [gpu.uuid, observe(before.gpus[gpu.uuid], gpu, nowSeconds)]));
    // GPUs of an SXM board are wired to each other; PCIe cards may have NVLinks that nothing is plugged into.
    const isBoardOfSeveral = gpus.length > 1 && gpus.every(({ model }) => model.includes("SXM"));
    const wantedOf = (gpu: Gpu): number => {
      const most = after[gpu.uuid]?.most ?? 0;
      return parameters.expected_links ?? (most === 0 && (isOnFabric(gpu) || isBoardOfSeveral) ? 1 : most);
    };
    const times = { nowSeconds, bootId };
    const cut = gpus.filter((gpu) => (activeLinks(gpu) ?? 0) < wantedOf(gpu));
    const faults = mergeFaults(
      before.faults,
      cut.map(({ uuid }) => ({ key: uuid, lastSeconds: nowSeconds, count: 1 })),
      times,
    );
    const history = new Map(listFaults(faults, times).map((fault) => [fault.key, fault]));
    const findings = gpus.flatMap((gpu): Finding[] => {
      const { recoveredAt = Number.NEGATIVE_INFINITY } = after[gpu.uuid] ?? {};
      if (cut.includes(gpu)) {
        const fault = history.get(gpu.uuid);
        const summary = `${activeLinks(gpu) ?? 0} of ${count(wantedOf(gpu), "NVLink")} active`;
        const action = fault === undefined ? "reset_gpu" : escalate(fault, "reset_gpu");
        return [{ status: "critical", subject: gpu.name, summary, action }];
      }
      if (nowSeconds - recoveredAt >= parameters.recovery_hours * 3600) return [];
      const summary = "an NVLink had to recover";
      return [{ status: "warning", subject: gpu.name, summary, action: "none", ...happened(recoveredAt) }];
    });
    const linked = gpus.filter((gpu) => activeLinks(gpu) !== 0).length;
    const summary = linked === 0 ? "no NVLink in use" : `${count(linked, "GPU")} with all their NVLinks`;
    return { findings, summary, memory: { gpus: { ...before.gpus, ...after }, faults } };
  },
});

/** A counter that is not told now has not begun anew. */
function observe(known: Memory["gpus"][string] | undefined, gpu: Gpu, nowSeconds: number): Memory["gpus"][string] {
  const before = known?.recoveries;
  const recoveries = gpu.value("aami_gpu_nvlink_errors_total", { kind: "recovery" }) ?? before;
  const hasGrown = before !== undefined && recoveries !== undefined && recoveries > before;
  const recoveredAt = hasGrown ? nowSeconds : known?.recoveredAt;
  return {
    most: Math.max(known?.most ?? 0, activeLinks(gpu) ?? 0),
    ...(recoveries !== undefined && { recoveries }),
    ...(recoveredAt !== undefined && { recoveredAt }),
  };
}

function activeLinks({ value }: Gpu): number | undefined {
  return value("aami_gpu_nvlinks", { state: "active" });
}

/** On a machine with NVSwitches no GPU is without links. */
function isOnFabric({ value }: Gpu): boolean {
  return (value("aami_gpu_fabric_state") ?? 0) > 0;
}
