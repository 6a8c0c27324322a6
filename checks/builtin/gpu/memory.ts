import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, happened } from "../builtin.ts";
import { type Gpu, readable, readGpus } from "./gpus.ts";

const Memory = t.Record(t.String(), t.Object({ value: t.Number(), grewAt: t.Optional(t.Number()) }));

export const gpuMemory = defineBuiltin({
  name: "gpu_memory",
  description: "ECC errors and row remapping of GPU memory.",
  explanation: [
    "GPUs replace bad memory rows by spare ones. Pending: the replacement takes place at the next reset of the GPU, until " +
      "then the bad row is in use or its page blocked. Failed: no spare row was left, and the GPU meets the criteria for " +
      "a return (RMA).",
    "Uncorrected errors end the job that met them (Xid 48, 94, 95). Corrected ones cost nothing and are not judged.",
  ],
  source: "nvidia",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      growth_hours: t.Number({
        default: 24,
        exclusiveMinimum: 0,
        description: "How long new uncorrected ECC errors are a warning.",
      }),
      require_ecc: t.Boolean({ default: false, description: "Warn about a GPU that can do ECC and has it off." }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const gpus = readable(readGpus(samples));
    const after = Object.fromEntries(
      gpus.flatMap(({ uuid, value }) => {
        const errors = value("aami_gpu_ecc_errors_total", { error: "uncorrected", counter: "aggregate" });
        if (errors === undefined) return [];
        const known = before[uuid];
        const grewAt = known !== undefined && errors > known.value ? nowSeconds : known?.grewAt;
        return [[uuid, { value: errors, ...(grewAt !== undefined && { grewAt }) }] as const];
      }),
    );
    const since = nowSeconds - parameters.growth_hours * 3600;
    const findings = gpus.flatMap((gpu) => [
      ...remapping(gpu),
      ...growth(gpu, after[gpu.uuid], since),
      ...(parameters.require_ecc && gpu.value("aami_gpu_ecc_enabled") === 0 ? [eccOff(gpu)] : []),
    ]);
    return {
      findings,
      summary: `${count(gpus.length, "GPU")} without new memory errors`,
      memory: { ...before, ...after },
    };
  },
});

function remapping({ name: subject, value }: Gpu): Finding[] {
  if (value("aami_gpu_row_remap_failed") === 1) {
    const summary = "a memory row could not be replaced, the GPU is to be exchanged";
    return [{ status: "critical", subject, summary, action: "inspect_hardware" }];
  }
  if (value("aami_gpu_row_remap_pending") === 1) {
    const summary = "memory rows will be replaced at the next reset";
    return [{ status: "warning", subject, summary, action: "reset_gpu" }];
  }
  if (value("aami_gpu_retired_pages_pending") === 1) {
    const summary = "memory pages will be retired at the next reboot";
    return [{ status: "warning", subject, summary, action: "reboot" }];
  }
  const exhausted = value("aami_gpu_row_remap_banks", { spare_rows: "none" }) ?? 0;
  if (exhausted === 0) return [];
  const summary = `${count(exhausted, "memory bank")} without spare rows`;
  return [{ status: "warning", subject, summary, action: "inspect_hardware" }];
}

function growth(
  { name: subject }: Gpu,
  counter: { value: number; grewAt?: number } | undefined,
  sinceSeconds: number,
): Finding[] {
  if (counter?.grewAt === undefined || counter.grewAt < sinceSeconds) return [];
  const summary = `uncorrected ECC errors have grown to ${counter.value}`;
  return [{ status: "warning", subject, summary, action: "reset_gpu", ...happened(counter.grewAt) }];
}

function eccOff({ name: subject }: Gpu): Finding {
  const remedy = "`nvidia-smi -e 1` switches it on at the next reset of the GPU.";
  return { status: "warning", subject, summary: "ECC is off", action: "check_configuration", remedy };
}
