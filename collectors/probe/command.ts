import { type CommandDef, defineCommand } from "citty";
import { writeSync } from "node:fs";
import { serveJobs } from "./worker.ts";

const collect = defineCommand({
  meta: { description: "Collector process: runs collectors and answers exposition text over a pipe." },
  run: async () => {
    const { createCollectJobs } = await import("../process.ts");
    const { collectorDefinitions } = await import("../registry.ts");
    // A collection that is lost with its process may be repeated: none takes anything away from its source.
    await serveJobs(
      (setup) => createCollectJobs(collectorDefinitions, setup as Parameters<typeof createCollectJobs>[1]),
      { holdResults: true },
    );
  },
});

const inventory = defineCommand({
  meta: { description: "Hardware and operating system, one JSON object a line for each part." },
  run: async () => {
    const { runInventoryProbe } = await import("./inventory.ts");
    await runInventoryProbe({ print: (line) => writeSync(1, `${line}\n`) });
  },
});

/** `aami probe NAME`: processes that the daemon starts and may leave behind. One line per kind of probe. */
export const probeCommand: CommandDef = defineCommand({
  meta: { description: "Processes that the daemon starts to read what may block; of no use by hand.", hidden: true },
  subCommands: {
    collect,
    inventory,
    disks: async () => (await import("../smart/command.ts")).disksProbeCommand,
    infiniband: async () => (await import("../infiniband-link/command.ts")).infinibandProbeCommand,
    nvml: async () => (await import("../nvidia/command.ts")).nvmlProbeCommand,
    mount: async () => (await import("../mounts/command.ts")).mountProbeCommand,
  },
});
