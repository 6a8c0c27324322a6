import type { DeviceCaller } from "./caller.ts";
import { readCString } from "./caller.ts";
import { NvmlCode, NvmlError } from "./errors.ts";
import type { GpuIdentity } from "./reading.ts";

const uuidBytes = 96;
/** nvmlPciInfo_t, and busId in it. */
const pci = { bytes: 68, busId: 36, busIdBytes: 32 };

/** nvmlBrandType_t as DCGM prints it. */
const brands: Readonly<Record<number, string>> = {
  1: "Quadro",
  2: "Tesla",
  3: "NVS",
  4: "Grid",
  5: "GeForce",
  6: "Titan",
  12: "QuadroRTX",
  13: "NvidiaRTX",
  14: "Nvidia",
  15: "GeForceRTX",
  16: "TitanRTX",
};

/** Throws NvmlError when the device does not even tell who it is. */
export function readIdentity(device: DeviceCaller, index: number): GpuIdentity {
  const uuid = device.text("nvmlDeviceGetUUID", [], uuidBytes);
  if (uuid === undefined) throw new NvmlError("nvmlDeviceGetUUID", failureOf(device, "nvmlDeviceGetUUID"));
  const buffer = Buffer.alloc(pci.bytes);
  if (!device.try("nvmlDeviceGetPciInfo_v3", buffer)) {
    throw new NvmlError("nvmlDeviceGetPciInfo_v3", failureOf(device, "nvmlDeviceGetPciInfo_v3"));
  }
  const pciBusId = readCString(buffer.subarray(pci.busId, pci.busId + pci.busIdBytes));
  return { index, uuid, pciBusId, name: device.text("nvmlDeviceGetName", [], 96) ?? "", texts: readTexts(device) };
}

function failureOf(device: DeviceCaller, call: string): number {
  return device.takeFailures()[call] ?? NvmlCode.notSupported;
}

function readTexts(device: DeviceCaller): Record<string, string> {
  const [brand] = device.numbers("nvmlDeviceGetBrand", [], 1) ?? [];
  const texts: Record<string, string | undefined> = {
    DCGM_FI_DEV_BRAND: brand === undefined ? undefined : brands[brand],
    DCGM_FI_DEV_SERIAL: device.text("nvmlDeviceGetSerial", [], 30),
    DCGM_FI_DEV_OEM_INFOROM_VER: device.text("nvmlDeviceGetInforomVersion", [0], 16),
    DCGM_FI_DEV_ECC_INFOROM_VER: device.text("nvmlDeviceGetInforomVersion", [1], 16),
    DCGM_FI_DEV_POWER_INFOROM_VER: device.text("nvmlDeviceGetInforomVersion", [2], 16),
    DCGM_FI_DEV_INFOROM_IMAGE_VER: device.text("nvmlDeviceGetInforomImageVersion", [], 16),
    DCGM_FI_DEV_VBIOS_VERSION: device.text("nvmlDeviceGetVbiosVersion", [], 32),
  };
  const told = Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(told);
}
