import type { ProbeReading, ProbeRequest, ProbeStep } from "./probe.ts";

/** What becomes of one probe: first `reading`, `killed`, `stuck` or `failed`; after `stuck`, once, `released`. */
export interface ProbeEvents {
  reading(reading: ProbeReading): void;
  /** Over its deadline, killed, and gone. */
  killed(step: ProbeStep | undefined): void;
  /** Over its deadline, killed, and still there: in the kernel, not to be ended from here. */
  stuck(step: ProbeStep | undefined, process: StuckProcess): void;
  released(): void;
  /** No probe took place: no process could be started, or it ended without a word. */
  failed(error: unknown): void;
}

export interface StuckProcess {
  readonly pid: number;
  /** The kernel function it waits in, where the kernel says. */
  readonly wchan: string | undefined;
}

/** How the prober reaches the processes that touch mounts. */
export interface MountProbes {
  start(request: ProbeRequest, deadlineSeconds: number, events: ProbeEvents): void;
}
