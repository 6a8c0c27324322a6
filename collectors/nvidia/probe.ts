import type { JobHandlers, JobResult } from "../probe/worker.ts";
import { NvmlError } from "./errors.ts";
import { readHpcJobs } from "./hpc-jobs.ts";
import type { Nvml } from "./nvml.ts";
import { createNvmlSession } from "./session.ts";

/** First request of the helper process. */
export interface NvmlSetup {
  readonly library: string;
  readonly procPath: string;
  readonly jobFolder: string;
}

/** A collection costs as much as the round before it; after more rounds without one the process is megabytes larger. */
const roundsPerCollection = 6;

/** Jobs of `aami probe nvml`; `close` gives the devices back to the driver. */
export function createNvmlJobs(
  { procPath, jobFolder }: NvmlSetup,
  nvml: Nvml,
): { handlers: JobHandlers; close(): void } {
  const session = createNvmlSession({ nvml, procPath, now: () => performance.now() });
  let rounds = 0;
  return {
    handlers: {
      list: (_, { step }) => answer(() => ({ list: session.list(step) })),
      sample: (params, { step }) =>
        answer(() => ({ reading: session.sample((params as { pciBusId: string }).pciBusId, step) })),
      events: (_, { step }) => {
        const result = answer(() => ({ events: session.events(step) }));
        // The last job of a round.
        if (++rounds % roundsPerCollection === 0) Bun.gc(true);
        return result;
      },
      jobs: () => ({ header: { jobs: readHpcJobs(jobFolder) } }),
    },
    close: () => session.close(() => {}),
  };
}

/** A call that fails is an answer of its own: the daemon decides by its code. */
function answer(read: () => Record<string, unknown>): JobResult {
  try {
    return { header: { pid: process.pid, ...read() } };
  } catch (error) {
    if (!(error instanceof NvmlError)) throw error;
    return { header: { pid: process.pid, fault: { call: error.call, code: error.code } } };
  }
}
