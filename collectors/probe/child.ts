import { FrameError, type Frame, type Result } from "./frames.ts";
import type { Job, JobOutcome } from "./jobs.ts";
import { type ProbeProcess, type ProbeProcessEvents, startProbeProcess } from "./process.ts";

/** A probe process, and how far it has come with the jobs that it was given. */
export interface Child {
  readonly process: ProbeProcess;
  /** Sent and not answered, in the order in which the child runs them. */
  readonly given: Map<number, Job>;
  /** Given to another child meanwhile. */
  readonly moved: Set<number>;
  readonly startedAt: number;
  ready: boolean;
  /** What the child has begun. */
  current: Job | undefined;
  /** Its newest result is of this job. */
  last: Job | undefined;
  /** When the child last said anything, or was given its first job. */
  heardAt: number;
  /** Passed over: whatever else it had was moved to another child. */
  silent: boolean;
  /** Was asked to end, and gets nothing more to do. */
  ending: boolean;
  judgedAt: number;
  idleSince: number;
}

export interface ChildOptions {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The first request. */
  readonly setup: unknown;
}

export function startChild({ command, environment, setup }: ChildOptions, events: ProbeProcessEvents): Child {
  const now = performance.now();
  const process = startProbeProcess(command, environment, events);
  process.send([{ setup }]);
  return {
    process,
    given: new Map(),
    moved: new Set(),
    startedAt: now,
    ready: false,
    current: undefined,
    last: undefined,
    heardAt: now,
    silent: false,
    ending: false,
    judgedAt: now,
    idleSince: now,
  };
}

/** In one write. */
export function give(child: Child, jobs: readonly Job[]): void {
  const now = performance.now();
  child.heardAt = now;
  for (const job of jobs) child.given.set(job.id, job);
  child.process.send(
    jobs.map(({ id, name, params, deadlineAt, suspect }) => {
      const request = { id, job: name, params, deadlineMs: Math.round(deadlineAt - now) };
      return suspect ? { ...request, suspect } : request;
    }),
  );
}

/**
 * Takes back all but the current job. The child runs none of them: it yields after a slow job. Those that it had done and
 * not told of run a second time elsewhere; what it says about them later is of no interest.
 */
export function takeBack(child: Child): Job[] {
  const jobs = [...child.given.values()].filter((job) => job !== child.current);
  for (const { id } of jobs) {
    child.given.delete(id);
    child.moved.add(id);
  }
  return jobs;
}

/** Whether it has a job whose caller has been told that it was not begun in time. */
export function hasExpired({ given }: Child): boolean {
  return [...given.values()].some(({ expired }) => expired);
}

/** Comes back when all are gone, or after `limitMs`. */
export async function haveExited(children: readonly Child[], limitMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([late, Promise.all(children.map(({ process }) => process.exited))]);
  clearTimeout(timer);
}

/** What a child says that is of interest beyond itself. */
export interface ChildNews {
  ready(child: Child): void;
  answered(job: Job, outcome: JobOutcome): void;
  /** It took long, and the child has asked anew for what it had been given. */
  wasSlow(job: Job): void;
}

/** Takes note of all that the child has said; throws FrameError when that makes no sense. */
export function hear(child: Child, news: ChildNews): void {
  // Before the pipe is read: a job whose answer is in it is not taken for one that still runs.
  noteBegun(child, child.given.get(child.process.begun()));
  for (const frame of child.process.drain()) onFrame(child, frame, news);
}

function noteBegun(child: Child, job: Job | undefined): void {
  if (job === undefined || job === child.current) return;
  child.current = job;
  child.heardAt = performance.now();
  // Nobody waits for it any more, but it holds the child: it has the time it was given once.
  if (job.expired) job.deadlineAt = child.heardAt + job.allowedMs;
  job.step = "begin";
}

function onFrame(child: Child, frame: Frame, news: ChildNews): void {
  child.heardAt = performance.now();
  switch (frame.event) {
    case "ready":
      child.ready = true;
      return news.ready(child);
    case "yield":
      return onYield(child, news);
    case "done":
      child.silent = false;
      child.idleSince = child.heardAt;
      for (const result of frame.results) onResult(child, result, news);
      return;
    case "step":
      return onStep(child, frame.id, frame.step);
  }
}

/** After a slow job the child has forgotten what it was sent; what was not moved meanwhile is sent again. */
function onYield(child: Child, news: ChildNews): void {
  // It finds that there is nothing more to come.
  if (child.ending) return;
  child.moved.clear();
  if (child.last !== undefined) news.wasSlow(child.last);
  child.process.send([{ resume: true }]);
  if (child.given.size > 0) give(child, [...child.given.values()]);
}

function onStep(child: Child, id: number, step: string): void {
  const job = child.given.get(id);
  if (job === undefined) throw new FrameError("a step of a job that it was not given");
  noteBegun(child, job);
  job.step = step;
  job.onStep?.(step);
}

function onResult(child: Child, result: Result, news: ChildNews): void {
  const job = child.given.get(result.id);
  if (job !== undefined) {
    child.given.delete(job.id);
    child.last = job;
    if (child.current === job) child.current = undefined;
    news.answered(job, toOutcome(result));
  } else if (!child.moved.delete(result.id)) {
    throw new FrameError("a result of a job that it was not given");
  }
}

function toOutcome(result: Result): JobOutcome {
  if ("error" in result) return { status: "failed", error: result.error };
  return { status: "done", header: result.header, payload: result.payload };
}
