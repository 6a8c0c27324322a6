import { createDeviceCaller, type DeviceCaller, readCString } from "./caller.ts";
import { NvmlCode, NvmlError } from "./errors.ts";
import { type EventWatch, openEventWatch } from "./events.ts";
import { readFieldValues, readLinks, readLinkTraffic } from "./field-values.ts";
import { type GpmWindow, openGpmWindow, supportsGpm } from "./gpm.ts";
import { readIdentity } from "./identity.ts";
import { readInstances } from "./mig.ts";
import type { Nvml, NvmlHandle } from "./nvml.ts";
import { readProcesses } from "./processes.ts";
import type { DeviceList, GpuIdentity, GpuReading, InstanceReading, Values, XidEvent } from "./reading.ts";
import { readLimits, readMemory, readValues } from "./values.ts";

/** The library in use, inside the helper process: everything here may block for ever. */
export interface NvmlSession {
  /** What was opened is closed and opened again first: how a GPU that was reset comes back. */
  list(announce: Announce): DeviceList;
  /** Throws NvmlError when the GPU or the library is gone. */
  sample(pciBusId: string, announce: Announce, perLink?: boolean): GpuReading;
  events(announce: Announce): XidEvent[];
  /** Gives every device handle back to the driver. */
  close(announce: Announce): void;
}

export type Announce = (step: string) => void;

interface Device {
  readonly caller: DeviceCaller;
  readonly limits: Values;
  readonly hasGpm: boolean;
  /** By GPU instance; "" is the GPU itself. */
  readonly windows: Map<string, GpmWindow>;
  migMode: number | undefined;
}

interface Opened {
  readonly devices: Map<string, Device>;
  readonly handles: Map<NvmlHandle, string>;
  events: EventWatch | undefined;
}

export interface SessionOptions {
  readonly nvml: Nvml;
  readonly procPath: string;
  readonly now: () => number;
}

export function createNvmlSession({ nvml, procPath, now }: SessionOptions): NvmlSession {
  let opened: Opened | undefined;
  let announce: Announce = () => {};
  const options = { nvml, announce: (step: string) => announce(step) };

  const open = (): Opened => {
    announce("nvmlInit_v2");
    requireSuccess("nvmlInit_v2", nvml.call("nvmlInit_v2"));
    opened = { devices: new Map(), handles: new Map(), events: undefined };
    return opened;
  };

  const close = (): void => {
    if (opened === undefined) return;
    for (const { windows } of opened.devices.values()) for (const window of windows.values()) window.close();
    opened.events?.close();
    opened = undefined;
    announce("nvmlShutdown");
    nvml.call("nvmlShutdown");
  };

  const addDevice = (state: Opened, pciBusId: string, caller: DeviceCaller): Device => {
    const device = {
      caller,
      limits: readLimits(caller),
      hasGpm: supportsGpm(caller),
      windows: new Map(),
      migMode: undefined,
    };
    state.devices.set(pciBusId, device);
    return device;
  };

  const openDevice = (state: Opened, pciBusId: string): Device => {
    const output = new BigUint64Array(1);
    announce("nvmlDeviceGetHandleByPciBusId_v2");
    const code = nvml.call("nvmlDeviceGetHandleByPciBusId_v2", Buffer.from(`${pciBusId}\0`), output);
    requireSuccess("nvmlDeviceGetHandleByPciBusId_v2", code);
    const handle = Number(output[0]);
    state.handles.set(handle, pciBusId);
    return addDevice(state, pciBusId, createDeviceCaller({ ...options, handle }));
  };

  const openByIndex = (state: Opened, index: number): GpuIdentity => {
    const output = new BigUint64Array(1);
    announce(`nvmlDeviceGetHandleByIndex_v2 ${index}`);
    requireSuccess("nvmlDeviceGetHandleByIndex_v2", nvml.call("nvmlDeviceGetHandleByIndex_v2", index, output));
    const caller = createDeviceCaller({ ...options, handle: Number(output[0]) });
    const identity = readIdentity(caller, index);
    state.handles.set(caller.handle, identity.pciBusId);
    addDevice(state, identity.pciBusId, caller);
    return identity;
  };

  const readGpm = (device: Device, key: string, gpuInstanceId?: number) => {
    if (!device.hasGpm) return undefined;
    const known = device.windows.get(key);
    const instance = gpuInstanceId === undefined ? {} : { gpuInstanceId };
    const window = known ?? openGpmWindow({ ...options, device: device.caller, ...instance });
    if (known === undefined) device.windows.set(key, window);
    return window.read(now());
  };

  const readDevice = (device: Device, perLink: boolean): GpuReading => {
    const { caller, limits } = device;
    const fresh = { ...readValues(caller), ...readFieldValues(caller), ...readMemory(caller) };
    requireAnything(caller, fresh);
    const values = { ...limits, ...fresh };
    if (device.migMode !== undefined && device.migMode !== values.migMode) caller.forget();
    device.migMode = values.migMode;
    const instances = values.migMode === 1 ? readInstances(caller, options) : [];
    const slices: InstanceReading[] = instances.map((instance) => ({
      ...instance,
      gpm: readGpm(device, String(instance.gpuInstanceId), instance.gpuInstanceId),
    }));
    closeUnused(device, slices);
    return {
      values,
      links: readLinks(caller, values),
      linkKib: perLink ? readLinkTraffic(caller, values) : [],
      gpm: slices.length === 0 ? readGpm(device, "") : undefined,
      instances: slices,
      ...readProcesses(caller, procPath),
      failures: caller.takeFailures(),
    };
  };

  return {
    list: (report) => {
      announce = onChange(report);
      close();
      const state = open();
      const count = readCount(nvml, announce);
      const gpus: GpuIdentity[] = [];
      const unreadable: { index: number; fault: NvmlError }[] = [];
      for (let index = 0; index < count; index++) {
        try {
          gpus.push(openByIndex(state, index));
        } catch (error) {
          if (!(error instanceof NvmlError)) throw error;
          unreadable.push({ index, fault: error });
        }
      }
      return {
        gpus,
        unreadable: unreadable.map(({ index, fault: { call, code } }) => ({ index, fault: { call, code } })),
        driverVersion: readVersion(nvml, "nvmlSystemGetDriverVersion", announce),
        nvmlVersion: readVersion(nvml, "nvmlSystemGetNVMLVersion", announce),
      };
    },
    sample: (pciBusId, report, perLink = false) => {
      announce = onChange(report);
      const state = opened ?? open();
      return readDevice(state.devices.get(pciBusId) ?? openDevice(state, pciBusId), perLink);
    },
    events: (report) => {
      announce = onChange(report);
      if (opened === undefined) return [];
      opened.events ??= openEventWatch(nvml, opened.handles, options.announce);
      return opened.events?.drain() ?? [];
    },
    close: (report) => {
      announce = onChange(report);
      close();
    },
  };
}

/** A GPU has many links, and what is said of each costs both sides a message. */
function onChange(report: Announce): Announce {
  let said = "";
  return (step) => {
    if (step !== said) report(step);
    said = step;
  };
}

function requireSuccess(call: string, code: number): void {
  if (code !== NvmlCode.success) throw new NvmlError(call, code);
}

/** A device that answers nothing at all is not well, whatever its codes say. */
function requireAnything(caller: DeviceCaller, values: Values): void {
  if (Object.keys(values).length > 0) return;
  const [[call, code] = ["every call", NvmlCode.notSupported]] = Object.entries(caller.takeFailures());
  throw new NvmlError(call, code);
}

function readCount(nvml: Nvml, announce: Announce): number {
  const output = new Uint32Array(1);
  announce("nvmlDeviceGetCount_v2");
  requireSuccess("nvmlDeviceGetCount_v2", nvml.call("nvmlDeviceGetCount_v2", output));
  return output[0] ?? 0;
}

const versionBytes = 80;

function readVersion(
  nvml: Nvml,
  call: "nvmlSystemGetDriverVersion" | "nvmlSystemGetNVMLVersion",
  announce: Announce,
): string {
  const buffer = Buffer.alloc(versionBytes);
  announce(call);
  return nvml.call(call, buffer, versionBytes) === NvmlCode.success ? readCString(buffer) : "";
}

/** GPU instances come and go while the driver runs. */
function closeUnused({ windows }: Device, slices: readonly InstanceReading[]): void {
  const wanted = new Set(slices.length === 0 ? [""] : slices.map(({ gpuInstanceId }) => String(gpuInstanceId)));
  for (const [key, window] of windows) {
    if (wanted.has(key)) continue;
    window.close();
    windows.delete(key);
  }
}
