import type { Logger } from "../../runtime/log.ts";
import type { JobOutcome } from "../probe/jobs.ts";
import { createProbePool, type ProbePool } from "../probe/pool.ts";
import type { MountProbes, ProbeEvents } from "./probe-client.ts";
import type { ProbeReading, ProbeRequest, ProbeStep } from "./probe.ts";
import { isRemote } from "./select.ts";

export interface PoolClientOptions {
  /** The command line of a mount probe process. */
  readonly command: readonly string[];
  readonly maxStuckProbes: number;
  readonly log: Logger;
}

export interface PoolClient extends MountProbes {
  close(): void;
}

/** A killed process is gone within this time, unless it is stuck in the kernel. */
const reapMs = 250;
const releasedPollMs = 250;
/** An idle process costs some 35 MiB, a new one for the next round some 5 ms. */
const idleMs = 2000;
const maxStuckLocal = 8;
const steps: readonly string[] = ["statfs", "stat", "readdir", "write"] satisfies ProbeStep[];

/** Runs mount probes in child processes. Local filesystems have their own, so that none waits behind a dead server. */
export function createPoolClient({ command, maxStuckProbes, log }: PoolClientOptions): PoolClient {
  let closed = false;
  const createFor = (maxStuck: number): PassingPool =>
    createPassingPool(() =>
      createProbePool({
        name: "mount",
        command,
        setup: {},
        // The prober names a mount in trouble once, with device and type; the pool's words for it are for debugging.
        log: { ...log, info: log.debug, warn: log.debug, error: log.debug },
        maxAbandoned: maxStuck,
        maxProcesses: maxStuck + 1,
      }),
    );
  const local = createFor(maxStuckLocal);
  const remote = createFor(maxStuckProbes);
  return {
    start: (request, deadlineSeconds, events) => {
      if (closed) return;
      const pool = isRemote(request.fstype) ? remote : local;
      void pool.use((open) => runProbe(open, request, deadlineSeconds, events, () => closed));
    },
    close: () => {
      closed = true;
      local.close();
      remote.close();
    },
  };
}

/** A pool that exists only while there is something to probe. */
interface PassingPool {
  use(work: (pool: ProbePool) => Promise<void>): Promise<void>;
  close(): void;
}

function createPassingPool(open: () => ProbePool): PassingPool {
  let pool: ProbePool | undefined;
  let users = 0;
  let idleTimer: Timer | undefined;
  const close = (): void => {
    clearTimeout(idleTimer);
    pool?.close();
    pool = undefined;
  };
  return {
    close,
    use: async (work) => {
      clearTimeout(idleTimer);
      pool ??= open();
      users++;
      await work(pool);
      users--;
      if (users === 0) idleTimer = setTimeout(close, idleMs).unref();
    },
  };
}

async function runProbe(
  pool: ProbePool,
  request: ProbeRequest,
  deadlineSeconds: number,
  events: ProbeEvents,
  isClosed: () => boolean,
): Promise<void> {
  // The id tells a mount from another one that took its place while a probe of the first was still stuck.
  const job = `mount ${request.write === undefined ? "read" : "write"} ${request.id} ${request.path}`;
  const outcome = await pool.run(job, request, { deadlineMs: deadlineSeconds * 1000 });
  if (isClosed()) return;
  if (outcome.status !== "timeout") return reportOutcome(outcome, events);
  if (outcome.step !== "begin" && !steps.includes(outcome.step)) {
    return events.failed(new Error(`no probe process in time (${outcome.step})`));
  }
  const step = steps.includes(outcome.step) ? (outcome.step as ProbeStep) : undefined;
  await Bun.sleep(reapMs);
  const left = pool.stuckJobs().find((candidate) => candidate.job === job);
  if (left === undefined) return events.killed(step);
  events.stuck(step, left);
  while (pool.stuckJobs().some((candidate) => candidate.job === job)) {
    await Bun.sleep(releasedPollMs);
    if (isClosed()) return;
  }
  events.released();
}

function reportOutcome(outcome: Exclude<JobOutcome, { status: "timeout" }>, events: ProbeEvents): void {
  if (outcome.status === "done") return events.reading(outcome.header as unknown as ProbeReading);
  events.failed(
    new Error(outcome.status === "failed" ? outcome.error : `an earlier probe is stuck in ${outcome.step}`),
  );
}
