import { NvmlCode } from "./errors.ts";
import type { Nvml, NvmlHandle } from "./nvml.ts";
import type { XidEvent } from "./reading.ts";

/** nvmlEventData_t. */
const layout = { bytes: 32, device: 0, type: 8, data: 16, gpuInstance: 24 };
const xidEvent = 0x8n;
const noInstance = 0xffffffff;
const eventsMost = 256;

/** Xid events as the driver tells them; those from before the registration are lost. */
export interface EventWatch {
  /** What has come since the last call; waits for nothing. */
  drain(): XidEvent[];
  close(): void;
}

/** `devices` may grow: each is registered before the next look. */
export function openEventWatch(
  nvml: Nvml,
  devices: ReadonlyMap<NvmlHandle, string>,
  announce: (step: string) => void,
): EventWatch | undefined {
  const output = new BigUint64Array(1);
  announce("nvmlEventSetCreate");
  if (nvml.call("nvmlEventSetCreate", output) !== NvmlCode.success) return undefined;
  const set = Number(output[0]);
  const registered = new Set<NvmlHandle>();
  return {
    drain: () => {
      for (const handle of devices.keys()) {
        if (!registered.has(handle)) register(nvml, handle, set, announce);
        registered.add(handle);
      }
      return drain(nvml, set, devices, announce);
    },
    close: () => {
      announce("nvmlEventSetFree");
      nvml.call("nvmlEventSetFree", set);
    },
  };
}

/** One unsupported bit would fail the whole registration, so the device is asked first. */
function register(nvml: Nvml, handle: NvmlHandle, set: NvmlHandle, announce: (step: string) => void): void {
  const supported = new BigUint64Array(1);
  announce("nvmlDeviceGetSupportedEventTypes");
  const code = nvml.call("nvmlDeviceGetSupportedEventTypes", handle, supported);
  if (code !== NvmlCode.success || ((supported[0] ?? 0n) & xidEvent) === 0n) return;
  announce("nvmlDeviceRegisterEvents");
  nvml.call("nvmlDeviceRegisterEvents", handle, xidEvent, set);
}

function drain(
  nvml: Nvml,
  set: NvmlHandle,
  devices: ReadonlyMap<NvmlHandle, string>,
  announce: (step: string) => void,
): XidEvent[] {
  const events: XidEvent[] = [];
  const buffer = Buffer.alloc(layout.bytes);
  const waitMs = 0;
  for (let taken = 0; taken < eventsMost; taken++) {
    announce("nvmlEventSetWait_v2");
    if (nvml.call("nvmlEventSetWait_v2", set, buffer, waitMs) !== NvmlCode.success) break;
    const pciBusId = devices.get(Number(buffer.readBigUInt64LE(layout.device)));
    if (pciBusId === undefined || buffer.readBigUInt64LE(layout.type) !== xidEvent) continue;
    const instance = buffer.readUInt32LE(layout.gpuInstance);
    events.push({
      pciBusId,
      code: Number(buffer.readBigUInt64LE(layout.data)),
      gpuInstance: instance === noInstance ? undefined : instance,
    });
  }
  return events;
}
