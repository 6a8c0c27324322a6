import type { Sample } from "../../../collectors/collector.ts";
import type { GradeInput } from "../builtin.ts";

/** A GPU as the families of the collector `nvidia` show it. */
export interface Gpu {
  readonly uuid: string;
  /** "0000:3b:00", as the kernel log names it. */
  readonly pciBusId: string;
  /** "GPU 3 (0000:3b:00)", for people. */
  readonly name: string;
  /** "NVIDIA A100-SXM4-80GB" */
  readonly model: string;
  /** ok, lost, stuck, skipped, failed, released. */
  readonly state: string;
  /** The one series of this GPU with these further labels; undefined where the GPU does not tell. */
  value(family: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

export function readGpus(samples: GradeInput<unknown>["samples"]): Gpu[] {
  const states = new Map(
    samples("aami_gpu_state")
      .filter(({ value }) => value === 1)
      .map(({ labels }) => [labels["uuid"], labels["state"] ?? ""]),
  );
  return samples("aami_gpu_info").map(({ labels }): Gpu => {
    const { uuid = "", gpu = "", pci_bus_id: bus = "", model = "" } = labels;
    return {
      uuid,
      pciBusId: bus,
      model,
      name: `GPU ${gpu} (${bus})`,
      state: states.get(uuid) ?? "failed",
      value: (family, wanted = {}) => samples(family).find((sample) => isOf(sample, { uuid, ...wanted }))?.value,
    };
  });
}

function isOf({ labels }: Sample, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/** Those with a reading of now; of the others nothing may be said but that. */
export function readable(gpus: readonly Gpu[]): Gpu[] {
  return gpus.filter(({ state }) => state === "ok");
}
