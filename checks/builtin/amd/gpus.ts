import type { Sample } from "../../../collectors/collector.ts";
import type { GradeInput } from "../builtin.ts";

/** A GPU as the collector `amdgpu` shows it. */
export interface AmdGpu {
  /** Number on this node, by PCI address. */
  readonly id: string;
  readonly pciBusId: string;
  /** "AMD GPU 3 (0000:c1:00.0)", for people. */
  readonly name: string;
  /** ok, suspended, unreadable. */
  readonly state: string;
  /** The one series of this GPU with these further labels; undefined where the GPU does not tell. */
  value(family: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

export function readAmdGpus(samples: GradeInput<unknown>["samples"]): AmdGpu[] {
  return samples("aami_amd_gpu_state")
    .filter(({ value }) => value === 1)
    .map(({ labels }): AmdGpu => {
      const { gpu_id: id = "", pci_bus_id: pciBusId = "", state = "" } = labels;
      return {
        id,
        pciBusId,
        name: `AMD GPU ${id} (${pciBusId})`,
        state,
        value: (family, wanted = {}) =>
          samples(family).find((sample) => isOf(sample, { gpu_id: id, ...wanted }))?.value,
      };
    });
}

function isOf({ labels }: Sample, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/** Those with a reading of now; of the others nothing may be said but that. */
export function readableAmd(samples: GradeInput<unknown>["samples"]): AmdGpu[] {
  return readAmdGpus(samples).filter(({ state }) => state === "ok");
}
