import type { Logger } from "../../runtime/log.ts";
import type { Abandonment, StuckJob } from "./abandonment.ts";
import type { FrameHeader } from "./frames.ts";

export type JobOutcome =
  | { readonly status: "done"; readonly header: FrameHeader; readonly payload: Uint8Array }
  /**
   * Given up at its deadline; `step` is what it was doing. Its process was killed if it had begun; otherwise other jobs
   * kept it from being tried, which says nothing about this one.
   */
  | { readonly status: "timeout"; readonly step: string; readonly begun: boolean }
  /** Not started: an earlier run of the very same job has not come back. */
  | ({ readonly status: "stuck" } & Omit<StuckJob, "job">)
  | { readonly status: "failed"; readonly error: string };

export interface RunOptions {
  readonly deadlineMs: number;
  readonly onStep?: (step: string) => void;
}

export type TakeOutcome = (outcome: JobOutcome) => void;

export interface Job {
  readonly id: number;
  readonly name: string;
  readonly params: unknown;
  /** From being asked for to the deadline. */
  readonly allowedMs: number;
  deadlineAt: number;
  readonly onStep: ((step: string) => void) | undefined;
  /** Who asked for it. */
  readonly takers: TakeOutcome[];
  step: string;
  /** Its last run hung, or kept the process from its other jobs for long: it comes after the others. */
  readonly suspect: boolean;
  /** Given up while still in a child's queue: the caller has its answer, the name is taken until the child is done. */
  expired: boolean;
}

/** The jobs of a pool: none runs twice at once, each has one outcome, and those that no child has are waiting. */
export interface JobList {
  /** `take` gets the outcome of the running job of this name, or of a new one that waits. */
  add(name: string, params: unknown, options: RunOptions, take: TakeOutcome): void;
  hasWaiting(): boolean;
  /** Everything that waits, in the order in which it is to be run. */
  takeWaiting(): Job[];
  /** Back in front of what waits; what is given up already is forgotten. */
  putBack(jobs: readonly Job[]): void;
  /** The job has answered. */
  finish(job: Job, outcome: JobOutcome): void;
  /** The job ends without an answer. */
  settle(job: Job, outcome: JobOutcome): void;
  failWaiting(error: string): void;
  /** A child has the job and has not begun it: its caller is answered, its name stays taken. */
  expire(job: Job): void;
  /** The next time it comes after the others, which most often answer at once. */
  suspect(job: Job): void;
  noteTimeout(job: Job): void;
  expireWaiting(now: number): void;
  /** When the first of those that wait has to be given up. */
  nextDeadline(): number;
}

export function createJobList(pool: string, abandonment: Abandonment, log: Logger): JobList {
  const running = new Map<string, Job>();
  const timedOut = new Set<string>();
  const suspects = new Set<string>();
  let waiting: Job[] = [];
  let nextId = 1;

  const settle = (job: Job, outcome: JobOutcome): void => {
    running.delete(job.name);
    answer(job, outcome);
  };
  const noteTimeout = ({ name, step }: Job): void => {
    if (timedOut.has(name)) return;
    timedOut.add(name);
    log.warn("probe job does not answer in time", { pool, job: name, step });
  };
  return {
    add: (name, params, { deadlineMs, onStep }, take) => {
      const known = running.get(name);
      if (known !== undefined) {
        if (known.expired) take(timeoutOf(known));
        else known.takers.push(take);
        return;
      }
      const stuck = abandonment.find(name);
      if (stuck !== undefined) return take({ status: "stuck", ...stuck });
      const job: Job = {
        ...{ id: nextId++, name, params, onStep, takers: [take] },
        ...{ allowedMs: deadlineMs, deadlineAt: performance.now() + deadlineMs },
        ...{ step: "waiting for a process", suspect: suspects.has(name), expired: false },
      };
      running.set(name, job);
      waiting.push(job);
    },
    hasWaiting: () => waiting.length > 0,
    takeWaiting: () => {
      const jobs = waiting;
      waiting = [];
      if (!jobs.some(({ suspect }) => suspect)) return jobs;
      return [...jobs.filter(({ suspect }) => !suspect), ...jobs.filter(({ suspect }) => suspect)];
    },
    putBack: (jobs) => {
      for (const { name } of jobs.filter(({ expired }) => expired)) running.delete(name);
      waiting = [...jobs.filter(({ expired }) => !expired), ...waiting];
    },
    finish: (job, outcome) => {
      suspects.delete(job.name);
      if (!job.expired && timedOut.delete(job.name)) log.info("probe job answers again", { pool, job: job.name });
      settle(job, outcome);
    },
    settle,
    failWaiting: (error) => {
      for (const job of waiting.splice(0)) settle(job, { status: "failed", error });
    },
    expire: (job) => {
      noteTimeout(job);
      job.expired = true;
      answer(job, timeoutOf(job));
    },
    suspect: ({ name }) => void suspects.add(name),
    noteTimeout,
    expireWaiting: (now) => {
      const late = waiting.filter(({ deadlineAt }) => deadlineAt <= now);
      if (late.length === 0) return;
      waiting = waiting.filter(({ deadlineAt }) => deadlineAt > now);
      for (const job of late) {
        noteTimeout(job);
        settle(job, timeoutOf(job));
      }
    },
    nextDeadline: () =>
      waiting.reduce((first, { deadlineAt }) => Math.min(first, deadlineAt), Number.POSITIVE_INFINITY),
  };
}

/** A job that was given up may still come to an end, of which nobody wants to hear any more. */
function answer({ takers }: Job, outcome: JobOutcome): void {
  for (const take of takers.splice(0)) take(outcome);
}

/** It was not begun. */
function timeoutOf({ step }: Job): JobOutcome {
  return { status: "timeout", step, begun: false };
}
