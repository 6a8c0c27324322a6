import { smallEngine } from "../../runtime/lean-engine.ts";
import type { Logger } from "../../runtime/log.ts";
import type { JobOutcome } from "../probe/jobs.ts";
import { createProbePool, type ProbePool } from "../probe/pool.ts";
import { minimalEnvironment } from "../probe/process.ts";
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
const maxStuckLocal = 8;
const steps: readonly string[] = ["statfs", "stat", "readdir", "write"] satisfies ProbeStep[];

/** Runs mount probes in child processes. Local filesystems have their own, so that none waits behind a dead server. */
export function createPoolClient({ command, maxStuckProbes, log }: PoolClientOptions): PoolClient {
  let closed = false;
  const openFor = (maxStuck: number): ProbePool =>
    createProbePool({
      name: "mount",
      command,
      setup: {},
      // The prober names a mount in trouble once, with device and type; the pool's words for it are for debugging.
      log: { ...log, info: log.debug, warn: log.debug, error: log.debug },
      maxAbandoned: maxStuck,
      maxProcesses: maxStuck + 1,
      environment: { ...minimalEnvironment(), ...smallEngine },
    });
  // Opened by their first mount and kept: starting a process takes the CPU time of two pages, an idle one some 5 MiB.
  let local: ProbePool | undefined;
  let remote: ProbePool | undefined;
  return {
    start: (request, deadlineSeconds, events) => {
      if (closed) return;
      const pool = isRemote(request.fstype) ? (remote ??= openFor(maxStuckProbes)) : (local ??= openFor(maxStuckLocal));
      void runProbe(pool, request, deadlineSeconds, events, () => closed);
    },
    close: () => {
      closed = true;
      local?.close();
      remote?.close();
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
