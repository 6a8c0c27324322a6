import type { DeviceCaller } from "./caller.ts";
import { NvmlCode } from "./errors.ts";
import type { Nvml, NvmlHandle } from "./nvml.ts";
import type { GpmValues } from "./reading.ts";

/** GPM metric ids that have a DCGM field. */
export const gpmMetricIds = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 20, 21, 60, 61] as const;

/** nvmlGpmMetricsGet_t and its nvmlGpmMetric_t entries. The newest header's size, though only what is asked is used. */
const layout = { bytes: 13344, version: 0, count: 4, older: 8, newer: 16, first: 24, each: 40, code: 4, value: 8 };
/** A window must be long enough to mean something, and not reach back over a time when nobody looked. */
const window = { leastMs: 100, mostMs: 120_000 };

/** Two samples of one GPU or GPU instance in turn: metrics are what lies between them. */
export interface GpmWindow {
  /** Undefined without a window yet, and where a sample cannot be had. */
  read(now: number): GpmValues | undefined;
  close(): void;
}

export interface GpmWindowOptions {
  readonly nvml: Nvml;
  readonly device: DeviceCaller;
  readonly announce: (step: string) => void;
  /** For a GPU instance of MIG. */
  readonly gpuInstanceId?: number;
}

/** Hopper and later. */
export function supportsGpm(device: DeviceCaller): boolean {
  const support = Buffer.alloc(8);
  support.writeUInt32LE(1, 0);
  return device.try("nvmlGpmQueryDeviceSupport", support) && support.readUInt32LE(4) !== 0;
}

export function openGpmWindow({ nvml, device, announce, gpuInstanceId }: GpmWindowOptions): GpmWindow {
  let older: { readonly sample: NvmlHandle; readonly at: number } | undefined;
  let spare: NvmlHandle | undefined;

  const take = (sample: NvmlHandle): boolean =>
    gpuInstanceId === undefined
      ? device.try("nvmlGpmSampleGet", sample)
      : device.try("nvmlGpmMigSampleGet", gpuInstanceId, sample);

  return {
    read: (now) => {
      const sample = spare ?? allocate(nvml, announce);
      if (sample === undefined) return undefined;
      if (!take(sample)) {
        spare = sample;
        return undefined;
      }
      const before = older;
      older = { sample, at: now };
      spare = before?.sample;
      if (before === undefined || now - before.at < window.leastMs || now - before.at > window.mostMs) return undefined;
      return compute(nvml, announce, before.sample, sample);
    },
    close: () => {
      for (const sample of [older?.sample, spare]) if (sample !== undefined) nvml.call("nvmlGpmSampleFree", sample);
    },
  };
}

function allocate(nvml: Nvml, announce: (step: string) => void): NvmlHandle | undefined {
  const output = new BigUint64Array(1);
  announce("nvmlGpmSampleAlloc");
  return nvml.call("nvmlGpmSampleAlloc", output) === NvmlCode.success ? Number(output[0]) : undefined;
}

// Used again for every sample: this process should be small, and lives as long as the daemon.
const request = Buffer.alloc(layout.bytes);

function compute(
  nvml: Nvml,
  announce: (step: string) => void,
  older: NvmlHandle,
  newer: NvmlHandle,
): GpmValues | undefined {
  request.fill(0);
  request.writeUInt32LE(1, layout.version);
  request.writeUInt32LE(gpmMetricIds.length, layout.count);
  request.writeBigUInt64LE(BigInt(older), layout.older);
  request.writeBigUInt64LE(BigInt(newer), layout.newer);
  gpmMetricIds.forEach((id, index) => request.writeUInt32LE(id, layout.first + layout.each * index));
  announce("nvmlGpmMetricsGet");
  if (nvml.call("nvmlGpmMetricsGet", request) !== NvmlCode.success) return undefined;
  const values: Record<number, number> = {};
  gpmMetricIds.forEach((id, index) => {
    const at = layout.first + layout.each * index;
    const value = request.readDoubleLE(at + layout.value);
    if (request.readInt32LE(at + layout.code) === NvmlCode.success && Number.isFinite(value)) values[id] = value;
  });
  return values;
}
