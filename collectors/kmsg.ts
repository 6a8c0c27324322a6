import { Type } from "@sinclair/typebox";
import { existsSync } from "node:fs";
import { defineBackgroundCollector } from "./collector.ts";
import { type KernelWatch, watchKernelLog } from "./kmsg/watch.ts";
import { listIfPresent, readTextIfPresent } from "./read.ts";

/** The kernel log: what the kernel says has gone wrong, counted by kind and device, Xid and SXid by code. */
export const kmsg = defineBackgroundCollector({
  name: "kmsg",
  description: "Hardware and kernel trouble from the kernel log: Xid, SXid, memory, PCIe, disks, links, hung tasks.",
  enabledByDefault: true,
  options: Type.Object(
    {
      device: Type.String({ default: "/dev/kmsg", description: "The kernel log device." }),
      accept_user_records: Type.Boolean({
        default: false,
        description: "Count records written by programs as well. Only for trying things out: anyone may write them.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ device, accept_user_records: acceptUserRecords }) => {
    let running: KernelWatch | undefined;
    let sysPath = "";
    return {
      detect: async () =>
        existsSync(device) ? { supported: true } : { supported: false, reason: `${device} is not there` },
      start: ({ host, log, events }) => {
        sysPath = host.sysPath;
        const bootId = readTextIfPresent(`${host.procPath}/sys/kernel/random/boot_id`)?.trim();
        running = watchKernelLog({ device, acceptUserRecords, bootId, log, events });
      },
      stop: async () => {
        running?.stop();
        running = undefined;
      },
      collect: async () => {
        if (running === undefined) throw new Error("the kernel log is not followed yet");
        const error = running.error();
        if (error !== undefined) throw new Error(`cannot read ${device}`, { cause: error });
        running.countDriverXids();
        return running.counts.families(listNvidiaGpus(sysPath));
      },
    };
  },
});

/** PCI bus ids as the kernel log writes them; the driver has its GPUs in sysfs whether or not it can use them. */
function listNvidiaGpus(sysPath: string): string[] {
  return listIfPresent(`${sysPath}/bus/pci/drivers/nvidia`)
    .filter((name) => /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name))
    .map((name) => name.slice(0, name.lastIndexOf(".")));
}
