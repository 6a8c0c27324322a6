import { Type } from "@sinclair/typebox";
import { hostname } from "node:os";
import { addActivity, addClocks, addEnvironment, addLinks, addMemory } from "./amdgpu/families.ts";
import { type AmdGpu, listAmdGpus } from "./amdgpu/device.ts";
import { addErrors } from "./amdgpu/ras.ts";
import { type AddViolations, createViolations } from "./amdgpu/violations.ts";
import { defineCollector, type Labels, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import { readTextIfPresent } from "./read.ts";

const count = gauge("gpu_nodes_total", "Number of GPUs on the node");
const identity = gauge("aami_amd_gpu_info", "What an AMD GPU is, value is always 1.");
const state = gauge("aami_amd_gpu_state", "Whether an AMD GPU is in this state: ok, suspended or unreadable.");
const states = ["ok", "suspended", "unreadable"] as const;
type State = (typeof states)[number];

const reason = "no GPU of the amdgpu driver";

/** AMD GPUs by the driver's sysfs files alone, under the names of AMD's own exporter; no ROCm is needed. */
export const amdgpu = defineCollector({
  name: "amdgpu",
  description: "AMD GPUs of the amdgpu driver, from sysfs.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => {
    const addViolations = createViolations();
    return {
      detect: async (host) => (listAmdGpus(host).length > 0 ? { supported: true } : { supported: false, reason }),
      collect: async (host): Promise<MetricFamily[]> => {
        const gpus = listAmdGpus(host);
        if (gpus.length === 0) throw new NoDataError(reason);
        const set = createFamilySet();
        set.add(count, { hostname: hostname() }, gpus.length);
        const driverVersion = readTextIfPresent(`${host.sysPath}/module/amdgpu/version`)?.trim() ?? "";
        for (const gpu of gpus) addGpu(set, gpu, { driverVersion, addViolations });
        return set.list();
      },
    };
  },
});

interface Common {
  readonly driverVersion: string;
  readonly addViolations: AddViolations;
}

function addGpu(set: FamilySet, gpu: AmdGpu, { driverVersion, addViolations }: Common): void {
  const labels = toLabels(gpu);
  const is = addState(set, gpu);
  set.add(identity, { ...toIdentity(gpu), driver_version: driverVersion }, 1);
  if (is !== "ok") return;
  const metrics = gpu.metrics();
  addEnvironment(set, gpu, metrics, labels);
  addActivity(set, gpu, metrics, labels);
  addMemory(set, gpu, labels);
  addClocks(set, gpu, metrics, labels);
  addLinks(set, gpu, metrics, labels);
  addViolations(set, gpu, metrics, labels);
  addErrors(set, gpu, labels);
}

/** A GPU that is being reset refuses every file. */
function addState(set: FamilySet, gpu: AmdGpu): State {
  const sign = "mem_info_vram_total";
  const readable = (): boolean => !gpu.entries("").includes(sign) || gpu.text(sign) !== undefined;
  const found: State = gpu.isSuspended ? "suspended" : readable() ? "ok" : "unreadable";
  const labels = { gpu_id: String(gpu.index), pci_bus_id: gpu.pciBusId };
  for (const each of states) set.add(state, { ...labels, state: each }, Number(each === found));
  return found;
}

/** The exporter's labels without those of Kubernetes and Slurm. */
function toLabels(gpu: AmdGpu): Labels {
  return {
    gpu_id: String(gpu.index),
    serial_number: gpu.text("serial_number") ?? "",
    card_model: gpu.text("product_number") || (gpu.text("device") ?? ""),
    gpu_partition_id: "0",
    gpu_compute_partition_type: gpu.text("current_compute_partition")?.toLowerCase() ?? "none",
    hostname: hostname(),
  };
}

function toIdentity(gpu: AmdGpu): Labels {
  const text = (file: string): string => gpu.text(file) ?? "";
  return {
    gpu_id: String(gpu.index),
    pci_bus_id: gpu.pciBusId,
    unique_id: text("unique_id"),
    card_series: text("product_name"),
    vbios_version: text("vbios_version"),
    numa_node: text("numa_node"),
    compute_partition: text("current_compute_partition"),
    memory_partition: text("current_memory_partition"),
  };
}
