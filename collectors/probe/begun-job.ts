import { closeSync } from "node:fs";
import { createMemoryFile } from "../libc.ts";

/**
 * The id of the job that a probe process has begun last, in memory that it shares with the daemon. Said before every
 * job, it costs a store and wakes nobody up; the daemon looks when it wants to know what a silent process is stuck in.
 */
export interface BegunJob {
  /** 0 before the first. */
  get(): number;
  set(id: number): void;
}

export interface SharedBegunJob extends BegunJob {
  /** To be handed to the process, and closed then: the memory lives as long as either side has it mapped. */
  readonly fd: number;
}

export function createBegunJob(): SharedBegunJob {
  const fd = createMemoryFile("aami-begun-job", Float64Array.BYTES_PER_ELEMENT);
  try {
    return { fd, ...openBegunJob(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** In the process that was handed `fd`. */
export function openBegunJob(fd: number): BegunJob {
  const { buffer } = Bun.mmap(`/proc/self/fd/${fd}`);
  // Written and read by single instructions, so never seen half.
  const cell = new Float64Array(buffer, 0, 1);
  return {
    get: () => cell[0] ?? 0,
    set: (id) => void (cell[0] = id),
  };
}
