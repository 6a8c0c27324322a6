import { type CallerOptions, createDeviceCaller, type DeviceCaller } from "./caller.ts";
import type { NvmlHandle } from "./nvml.ts";
import type { Values } from "./reading.ts";
import { readMemory } from "./values.ts";

export interface GpuInstance {
  readonly gpuInstanceId: number;
  /** "1g.10gb" */
  readonly profile: string;
  readonly values: Values;
}

/** A GPU has at most seven instances today, each with at most as many compute instances. */
const devicesMost = 64;

/** The GPU instances of a device in MIG mode. A GPU instance is read by its first compute instance's handle. */
export function readInstances(device: DeviceCaller, options: Omit<CallerOptions, "handle">): GpuInstance[] {
  const [count = 0] = device.numbers("nvmlDeviceGetMaxMigDeviceCount", [], 1) ?? [];
  const instances = new Map<number, GpuInstance>();
  for (let index = 0; index < Math.min(count, devicesMost); index++) {
    const handle = openMigDevice(device, index);
    if (handle === undefined) continue;
    const part = createDeviceCaller({ ...options, handle });
    const [gpuInstanceId] = part.numbers("nvmlDeviceGetGpuInstanceId", [], 1) ?? [];
    if (gpuInstanceId === undefined || instances.has(gpuInstanceId)) continue;
    const profile = parseProfile(part.text("nvmlDeviceGetName", [], 96) ?? "");
    instances.set(gpuInstanceId, { gpuInstanceId, profile, values: readMemory(part) });
  }
  return [...instances.values()].sort((a, b) => a.gpuInstanceId - b.gpuInstanceId);
}

function openMigDevice(device: DeviceCaller, index: number): NvmlHandle | undefined {
  const output = new BigUint64Array(1);
  return device.try("nvmlDeviceGetMigDeviceHandleByIndex", index, output) ? Number(output[0]) : undefined;
}

/** "NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb": the profile of the GPU instance is what follows the compute slice. */
export function parseProfile(name: string): string {
  return /MIG (?:\d+c\.)?(\S+)$/.exec(name)?.[1] ?? "";
}
