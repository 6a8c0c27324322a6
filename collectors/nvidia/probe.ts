import type { JobHandlers, JobResult } from "../probe/worker.ts";
import { NvmlError } from "./errors.ts";
import { createFileReader } from "./counters-file.ts";
import { type HpcJobs, readHpcJobs } from "./hpc-jobs.ts";
import type { Nvml } from "./nvml.ts";
import { createNvmlSession } from "./session.ts";

/** First request of the helper process. */
export interface NvmlSetup {
  readonly library: string;
  readonly procPath: string;
  /** Folder of the job mapping, and the counters file; empty for none. */
  readonly jobFolder: string;
  readonly countersFile: string;
}

export interface SampleParams {
  readonly pciBusId: string;
  /** Whether the traffic of every NVLink is wanted. */
  readonly perLink: boolean;
}

/** What operators keep in files. */
export interface OperatorFiles {
  readonly jobs: HpcJobs;
  /** Undefined while it is what it was. */
  readonly counters?: string | undefined;
}

/** A collection costs as much as the round before it; after more rounds without one the process is megabytes larger. */
const roundsPerCollection = 6;

/** Jobs of `aami probe nvml`; `close` gives the devices back to the driver. */
export function createNvmlJobs(
  { procPath, jobFolder, countersFile }: NvmlSetup,
  nvml: Nvml,
): { handlers: JobHandlers; close(): void } {
  const session = createNvmlSession({ nvml, procPath, now: () => performance.now() });
  const readCounters = countersFile === "" ? () => undefined : createFileReader(countersFile);
  let rounds = 0;
  return {
    handlers: {
      list: (_, { step }) => answer(() => ({ list: session.list(step) })),
      sample: (params, { step }) =>
        answer(() => {
          const { pciBusId, perLink } = params as SampleParams;
          return { reading: session.sample(pciBusId, step, perLink) };
        }),
      events: (_, { step }) => {
        const result = answer(() => ({ events: session.events(step) }));
        // The last job of a round.
        if (++rounds % roundsPerCollection === 0) Bun.gc(true);
        return result;
      },
      files: () => {
        const files: OperatorFiles = {
          jobs: jobFolder === "" ? {} : readHpcJobs(jobFolder),
          counters: readCounters(),
        };
        return { header: { files } };
      },
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
