import type { Labels } from "../collector.ts";
import { type FamilySet, gauge } from "../families.ts";
import type { AmdGpu } from "./device.ts";

const kinds = { ce: "correct", ue: "uncorrect", de: "deferred" } as const;
type Kind = keyof typeof kinds;
const words: Readonly<Record<Kind, string>> = { ce: "Correctable", ue: "Uncorrectable", de: "Deferred" };

/** Where the exporter's name of a block differs from the driver's. */
const blockNames: Readonly<Record<string, string>> = { pcie_bif: "bif" };
const badPageStates: Readonly<Record<string, string>> = { R: "retired", P: "pending", F: "fault" };
const badPages = gauge("aami_amd_gpu_bad_pages", "Pages of GPU memory taken out of use, by how far that has come.");
const health = gauge("gpu_health", "Health of the GPU (0 = Unhealthy | 1 = Healthy)");

/** Error counters of the blocks that the driver watches. They count since the driver was loaded. */
export function addErrors(set: FamilySet, gpu: AmdGpu, labels: Labels): void {
  const totals: Partial<Record<Kind, number>> = {};
  for (const file of gpu.entries("ras")) {
    const block = /^(\w+)_err_count$/.exec(file)?.[1];
    if (block === undefined) continue;
    const name = blockNames[block] ?? block;
    for (const [kind, value] of parseErrorCounts(gpu.text(`ras/${file}`) ?? "")) {
      totals[kind] = (totals[kind] ?? 0) + value;
      set.gauge(`gpu_ecc_${kinds[kind]}_${name}`, `${words[kind]} ECC error in ${name.toUpperCase()}`, value, labels);
    }
  }
  for (const kind of ["ce", "ue", "de"] as const) {
    set.gauge(`gpu_ecc_${kinds[kind]}_total`, `Total ${words[kind]} ECC error count`, totals[kind], labels);
  }
  if (totals.ue !== undefined) set.add(health, labels, totals.ue === 0 ? 1 : 0);
  addBadPages(set, gpu, labels);
}

/** "ue: 0\nce: 3\n"; a busy GPU answers with a sentence instead, which counts nothing. */
function parseErrorCounts(text: string): [Kind, number][] {
  return [...text.matchAll(/^(ue|ce|de): (\d+)$/gm)].map(([, kind, count]) => [kind as Kind, Number(count)]);
}

/** Lines "0x00001234 : 0x00001000 : R". */
function addBadPages(set: FamilySet, gpu: AmdGpu, labels: Labels): void {
  const text = gpu.text("ras/gpu_vram_bad_pages");
  if (text === undefined) return;
  const states = [...text.matchAll(/^0x[0-9a-f]+ : 0x[0-9a-f]+ : ([RPF])$/gim)].map(([, state]) => state);
  for (const [letter, state] of Object.entries(badPageStates)) {
    set.add(badPages, { ...labels, state }, states.filter((found) => found === letter).length);
  }
}
