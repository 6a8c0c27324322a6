import { Type } from "@sinclair/typebox";
import { existsSync } from "node:fs";
import { defineBackgroundCollector } from "./collector.ts";
import { type KernelWatch, watchKernelLog } from "./kmsg/watch.ts";
import { readTextIfPresent } from "./read.ts";

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
    return {
      detect: async () =>
        existsSync(device) ? { supported: true } : { supported: false, reason: `${device} is not there` },
      start: ({ host, log, events }) => {
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
        return running.counts.families();
      },
    };
  },
});
