import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Finding } from "../../verdict.ts";
import { count, defineBuiltin, happened } from "../builtin.ts";
import { type AmdGpu, readableAmd } from "./gpus.ts";

/** By PCI address and kind of error: how many there were, and when that last grew. */
const Memory = t.Record(t.String(), t.Object({ value: t.Number(), grewAt: t.Optional(t.Number()) }));
type Memory = Record<string, { value: number; grewAt?: number }>;

const kinds = [
  ["gpu_ecc_uncorrect_total", "uncorrected", "critical", "reset_gpu"],
  ["gpu_ecc_deferred_total", "deferred", "warning", "reset_gpu"],
] as const;

export const amdGpuMemory = defineBuiltin({
  name: "amd_gpu_memory",
  description: "RAS (ECC) errors of AMD GPUs, and pages of their memory that are taken out of use.",
  explanation: [
    "An uncorrected error has ended the job that met it, and the driver usually resets the GPU. A deferred one is bad data " +
      "that nobody has used yet. Corrected ones cost nothing and are not judged. The counters start anew with the driver.",
    "Pages that are retired are harmless. Pending: a page is bad and goes out of use at the next reset. Fault: the page " +
      "could not be taken out of use, and what is put there is lost again and again.",
  ],
  source: "amdgpu",
  intervalSeconds: 60,
  parameters: t.Object(
    {
      growth_hours: t.Number({
        default: 24,
        exclusiveMinimum: 0,
        description: "How long new uncorrected or deferred errors are a finding.",
      }),
    },
    { additionalProperties: false },
  ),
  grade: ({ parameters, samples, memory, nowSeconds }) => {
    const before: Memory = Value.Check(Memory, memory) ? memory : {};
    const gpus = readableAmd(samples).filter(({ value }) => value("gpu_ecc_uncorrect_total") !== undefined);
    const after = Object.fromEntries(gpus.flatMap((gpu) => observe(gpu, before, nowSeconds)));
    const since = nowSeconds - parameters.growth_hours * 3600;
    const findings = gpus.flatMap((gpu) => [...errors(gpu, after, since), ...badPages(gpu)]);
    if (gpus.length === 0) return { findings, summary: "", absent: "no AMD GPU that tells of memory errors" };
    const summary = `${count(gpus.length, "GPU")} without new memory errors`;
    return { findings, summary, memory: { ...before, ...after } };
  },
});

/** Counters since the driver was loaded: what is there at the first look, or after they started anew, is new. */
function observe({ pciBusId, value }: AmdGpu, before: Memory, nowSeconds: number): [string, Memory[string]][] {
  return kinds.flatMap(([family, kind]) => {
    const key = `${pciBusId} ${kind}`;
    const [now, known] = [value(family), before[key]];
    if (now === undefined) return [];
    const hasGrown = known === undefined || now < known.value ? now > 0 : now > known.value;
    const grewAt = hasGrown ? nowSeconds : known?.grewAt;
    return [[key, { value: now, ...(grewAt !== undefined && { grewAt }) }]];
  });
}

function errors({ name: subject, pciBusId }: AmdGpu, counters: Memory, sinceSeconds: number): Finding[] {
  return kinds.flatMap(([, kind, status, action]) => {
    const { value = 0, grewAt } = counters[`${pciBusId} ${kind}`] ?? {};
    if (value === 0 || grewAt === undefined || grewAt < sinceSeconds) return [];
    const summary = `${count(value, `${kind} memory error`)} since the driver was loaded`;
    return [{ status, subject, summary, action, ...happened(grewAt) }];
  });
}

function badPages({ name: subject, value }: AmdGpu): Finding[] {
  const of = (state: string): number => value("aami_amd_gpu_bad_pages", { state }) ?? 0;
  if (of("fault") > 0) {
    const summary = `${count(of("fault"), "bad page")} could not be taken out of use`;
    return [{ status: "critical", subject, summary, action: "inspect_hardware" }];
  }
  if (of("pending") === 0) return [];
  const summary = `${count(of("pending"), "bad page")} will be taken out of use at the next reset`;
  return [{ status: "warning", subject, summary, action: "reset_gpu" }];
}
