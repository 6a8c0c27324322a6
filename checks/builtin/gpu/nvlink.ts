import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, happened } from "../builtin.ts";
import { type Gpu, readable, readGpus } from "./gpus.ts";

const Memory = t.Record(
  t.String(),
  t.Object({ most: t.Number(), recoveries: t.Number(), recoveredAt: t.Optional(t.Number()) }),
);

export const gpuNvlink = defineBuiltin({
  name: "gpu_nvlink",
  description: "NVLinks that are down, and links that have to recover.",
  explanation: [
    "A GPU that has lost NVLinks talks to its peers slower or over PCIe; jobs over several GPUs fail or crawl. " +
      "`nvidia-smi nvlink --status` names the links, `nvidia-smi topo -m` what is left of the topology.",
    "A reset of all GPUs trains the links anew, which a reboot does as well. Links that stay down are a matter of the " +
      "bridge, the board or the NVSwitch. Without expected_links a GPU is compared with the most links it has had.",
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
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const gpus = readable(readGpus(samples)).filter((gpu) => activeLinks(gpu) !== undefined);
    if (gpus.length === 0) return { findings: [], summary: "", absent: "no GPU with NVLink" };
    const after = Object.fromEntries(
      gpus.map((gpu) => {
        const known = before[gpu.uuid];
        const recoveries = gpu.value("aami_gpu_nvlink_errors_total", { kind: "recovery" }) ?? 0;
        const recoveredAt = known !== undefined && recoveries > known.recoveries ? nowSeconds : known?.recoveredAt;
        const most = Math.max(known?.most ?? 0, activeLinks(gpu) ?? 0);
        return [gpu.uuid, { most, recoveries, ...(recoveredAt !== undefined && { recoveredAt }) }] as const;
      }),
    );
    // GPUs of an SXM board are wired to each other; PCIe cards may have NVLinks that nothing is plugged into.
    const isBoardOfSeveral = gpus.length > 1 && gpus.every(({ model }) => model.includes("SXM"));
    const findings = gpus.flatMap((gpu): Finding[] => {
      const { most = 0, recoveredAt = Number.NEGATIVE_INFINITY } = after[gpu.uuid] ?? {};
      const active = activeLinks(gpu) ?? 0;
      const wanted = parameters.expected_links ?? (most === 0 && (isOnFabric(gpu) || isBoardOfSeveral) ? 1 : most);
      if (active < wanted) {
        const summary = `${active} of ${count(wanted, "NVLink")} active`;
        return [{ status: "critical", subject: gpu.name, summary, action: "reset_gpu" }];
      }
      if (nowSeconds - recoveredAt >= parameters.recovery_hours * 3600) return [];
      const summary = "an NVLink had to recover";
      return [{ status: "warning", subject: gpu.name, summary, action: "none", ...happened(recoveredAt) }];
    });
    const linked = gpus.filter((gpu) => activeLinks(gpu) !== 0).length;
    const summary = linked === 0 ? "no NVLink in use" : `${count(linked, "GPU")} with all their NVLinks`;
    return { findings, summary, memory: { ...before, ...after } };
  },
});

function activeLinks({ value }: Gpu): number | undefined {
  return value("aami_gpu_nvlinks", { state: "active" });
}

/** On a machine with NVSwitches no GPU is without links. */
function isOnFabric({ value }: Gpu): boolean {
  return (value("aami_gpu_fabric_state") ?? 0) > 0;
}
