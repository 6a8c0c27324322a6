import type { JobHandlers } from "../probe/worker.ts";
import { type ProbeRequest, probeMount } from "./probe.ts";

/** What a mount probe process does with its jobs, see pool-client.ts. */
export const mountHandlers: JobHandlers = {
  mount: (params, { step }) => ({ header: { ...probeMount(params as ProbeRequest, step) } }),
};
