import { type CommandDef, defineCommand } from "citty";
import { serveJobs } from "../probe/worker.ts";
import { openNvml } from "./nvml.ts";
import { createNvmlJobs, type NvmlSetup } from "./probe.ts";

/**
 * `aami probe nvml`: the only process that loads the driver's library. It ends when the daemon closes its stdin, and
 * then gives the devices back.
 */
export const nvmlProbeCommand: CommandDef = defineCommand({
  meta: { description: "Reads NVIDIA GPUs by libnvidia-ml." },
  run: async () => {
    let close = (): void => {};
    try {
      await serveJobs((setup) => {
        const nvmlSetup = setup as NvmlSetup;
        const jobs = createNvmlJobs(nvmlSetup, openNvml(nvmlSetup.library));
        close = jobs.close;
        return jobs.handlers;
      });
    } finally {
      close();
    }
  },
});
