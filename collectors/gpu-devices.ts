import { Type } from "@sinclair/typebox";
import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { defineCollector, NoDataError } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import { isErrno, listIfPresent, readTextIfPresent } from "./read.ts";

const device = gauge(
  "aami_gpu_pci_device_info",
  "An NVIDIA GPU on the PCI bus and the driver that has it, value is always 1.",
);

const nvidia = "0x10de";
/** PCI class 03 sub-class 00 (VGA) and 02 (3D controller, as data centre GPUs call themselves). */
const gpuClass = /^0x03(00|02)/;
const reason = "no NVIDIA GPU on the PCI bus";

/** What is plugged in, without a word from a driver: for the check gpu_count. */
export const gpuDevices = {
  ...defineCollector({
    name: "gpu_devices",
    description: "NVIDIA GPUs on the PCI bus, for the check gpu_count.",
    enabledByDefault: true,
    options: Type.Object({}, { additionalProperties: false }),
    create: () => ({
      collect: async ({ sysPath }) => {
        const set = createFamilySet();
        const folder = `${sysPath}/bus/pci/devices`;
        for (const pciBusId of listIfPresent(folder)) {
          if (readTextIfPresent(`${folder}/${pciBusId}/vendor`)?.trim() !== nvidia) continue;
          const pciClass = readTextIfPresent(`${folder}/${pciBusId}/class`)?.trim() ?? "";
          const [, kind] = gpuClass.exec(pciClass) ?? [];
          if (kind === undefined) continue;
          const driver = driverOf(`${folder}/${pciBusId}/driver`);
          set.add(device, { pci_bus_id: pciBusId, driver, kind: kind === "02" ? "3d" : "vga" }, 1);
        }
        if (set.list().length === 0) throw new NoDataError(reason);
        return set.list();
      },
    }),
  }),
  forChecks: true,
} as const;

/** Empty where no driver has the device. */
function driverOf(link: string): string {
  try {
    return basename(readlinkSync(link));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}
