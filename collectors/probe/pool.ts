import { describeError, type Logger } from "../../runtime/log.ts";
import { createAbandonment, type StuckJob } from "./abandonment.ts";
import { readBlockedFile } from "./blocked-file.ts";
import { type Child, type ChildNews, give, hasExpired, haveExited, hear, startChild, takeBack } from "./child.ts";
import { FrameError } from "./frames.ts";
import { createJobList, type Job, type JobOutcome, type RunOptions, type TakeOutcome } from "./jobs.ts";
import { minimalEnvironment } from "./process.ts";
import { yieldAfterMs } from "./worker.ts";

/**
 * Runs jobs in child processes that may block for ever. Normally one child runs them one after the other; a child that
 * is silent in one job is overtaken by a fresh one, killed at the job's deadline, and never waited for.
 */
export interface ProbePool {
  /**
   * `job` names the piece of work, its first word the handler: "collect cpu". Never rejects. The same job asked for
   * while it runs is not run again: both callers get the one outcome.
   */
  run(job: string, params: unknown, options: RunOptions): Promise<JobOutcome>;
  /** The same for many jobs at a time: `take` is called with the outcome, once and perhaps at once. */
  ask(job: string, params: unknown, options: RunOptions, take: TakeOutcome): void;
  /** Starts the first child before it is needed. */
  start(): void;
  stuckJobs(): readonly StuckJob[];
  /** Children that exist, and those of them that were killed and have not gone. */
  processes(): { readonly running: number; readonly abandoned: number };
  /** Kills every child and waits for none; what runs ends as failed. */
  close(): void;
  /**
   * Every child is asked to end after the jobs it has and given `graceMs` to put its things away; it is killed then, or at
   * the deadline of its job. Comes back when all are gone or known not to go. What is asked for meanwhile waits for a new
   * child.
   */
  finish(graceMs: number): Promise<void>;
}

export interface ProbePoolOptions {
  /** For the log: "collect", "mount". */
  readonly name: string;
  readonly command: readonly string[];
  /** First request of every child: paths and options. */
  readonly setup: unknown;
  readonly log: Logger;
  /**
   * A child silent for this long in one job is overtaken by another. At least twice what makes a child yield,
   * longer where children are slow to start.
   */
  readonly silenceMs?: number;
  /** Children that were killed and do not go; at this many no more are started. */
  readonly maxAbandoned?: number;
  /** Children alive at once, the silent ones included. */
  readonly maxProcesses?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

const startDeadlineMs = 10_000;
/**
 * A child that needs more than this to start says that the machine is slow: a fresh one would not be sooner done with the
 * jobs, and starting it takes the time that the silent one needs. So what it took longer it may be silent longer.
 */
const ordinaryStartMs = 1000;
const mostPatienceMs = 3000;
const spareIdleMs = 60_000;
/** A killed process that still exists after this long waits in the kernel. */
const killedMs = 2000;
const backoffMs = { first: 200, most: 30_000 };
const stopped = { status: "failed", error: "the probe processes have been stopped" } as const;

export function createProbePool(options: ProbePoolOptions): ProbePool {
  const { name: pool, log, maxAbandoned = 24, maxProcesses = 16 } = options;
  const silenceMs = Math.max(options.silenceMs ?? 300, 2 * yieldAfterMs);
  const environment = options.environment ?? minimalEnvironment();
  const children = new Set<Child>();
  const abandonment = createAbandonment(pool, log);
  const jobs = createJobList(pool, abandonment, log);
  let closed = false;
  let finishing: Promise<void> | undefined;
  let assignQueued = false;
  let startFailures = 0;
  let patienceMs = silenceMs;
  let startNotBefore = 0;
  let timer: Timer | undefined;
  let timerDue = Number.POSITIVE_INFINITY;

  const ask: ProbePool["ask"] = (name, params, runOptions, take) => {
    if (closed) return take(stopped);
    jobs.add(name, params, runOptions, take);
    queueAssign();
  };

  // Jobs asked for in one turn of the event loop travel in one write.
  const queueAssign = (): void => {
    if (assignQueued || !jobs.hasWaiting()) return;
    assignQueued = true;
    queueMicrotask(() => {
      assignQueued = false;
      assign();
    });
  };

  /** Gives the waiting jobs to a child that is not silent, or sees to it that there is one. */
  const assign = (): void => {
    if (jobs.hasWaiting() && finishing === undefined) {
      const available = [...children].filter(({ ready, silent, ending }) => ready && !silent && !ending);
      const child = available.find(({ given }) => given.size === 0) ?? available[0];
      const starting = [...children].some(({ ready }) => !ready);
      if (child !== undefined) give(child, jobs.takeWaiting());
      // With every child silent and no more allowed, jobs wait for one of them or for their deadline.
      else if (!starting && children.size < maxProcesses) startOne();
    }
    schedule();
  };

  const startOne = (): void => {
    const now = performance.now();
    const abandoned = abandonment.count();
    if (abandoned >= maxAbandoned) {
      jobs.failWaiting(`${abandoned} stuck probe processes cannot be ended, no more are started`);
    } else if (now < startNotBefore) {
      jobs.failWaiting("probe processes end as soon as they are started; the next try is due shortly");
    } else {
      try {
        children.add(spawn());
      } catch (error) {
        backOff();
        jobs.failWaiting(`cannot start a probe process: ${String(describeError(error))}`);
      }
    }
  };

  const spawn = (): Child => {
    const child = startChild(
      { command: options.command, environment, setup: options.setup },
      { onReadable: () => receive(child), onExit: (reason) => onExit(child, reason) },
    );
    return child;
  };

  const backOff = (): void => {
    startNotBefore = performance.now() + Math.min(backoffMs.first * 2 ** startFailures, backoffMs.most);
    startFailures++;
  };

  const receive = (child: Child): void => {
    if (!children.has(child)) return;
    try {
      hear(child, news);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      log.error("probe process sends what is no answer and is ended", { pool, job: child.current?.name, error });
      discard(child, { status: "failed", error: `unreadable answer of the probe process: ${error.message}` });
    }
    if (jobs.hasWaiting()) assign();
    else if (child.given.size === 0) schedule();
  };

  const news: ChildNews = {
    ready: ({ heardAt, startedAt }) => {
      const slownessMs = Math.max(0, heardAt - startedAt - ordinaryStartMs);
      patienceMs = silenceMs + Math.min(slownessMs, mostPatienceMs);
      startFailures = 0;
    },
    answered: jobs.finish,
    wasSlow: jobs.suspect,
  };

  const onExit = (child: Child, reason: string): void => {
    abandonment.reaped(child.process.pid);
    // It may have answered before it ended.
    receive(child);
    if (children.delete(child)) bury(child, reason);
    assign();
  };

  const isAsked = ({ ending }: Child, reason: string): boolean => ending && reason === "exit code 0";

  const bury = (child: Child, reason: string): void => {
    const { current, process, ready } = child;
    process.close();
    if (isAsked(child, reason)) return release(child, stopped);
    const stderr = process.lastWords();
    log.warn("probe process ended", { pool, reason, job: current?.name, step: current?.step, stderr });
    release(child, { status: "failed", error: `its process ended with ${reason}` });
    if (ready) return;
    backOff();
    jobs.failWaiting(`the probe process ended with ${reason} when started: ${stderr}`);
  };

  /** What the child has begun ends with `outcome`; the rest of its jobs wait for another child. */
  const release = (child: Child, outcome: JobOutcome): void => {
    if (child.current !== undefined) jobs.settle(child.current, outcome);
    if (child.ending) for (const job of child.given.values()) jobs.settle(job, stopped);
    else jobs.putBack(takeBack(child));
    child.given.clear();
  };

  /** Kills the child; what it had begun is out of reach until the child is reaped. */
  const discard = (child: Child, outcome: JobOutcome): void => {
    children.delete(child);
    const { current, process, heardAt } = child;
    process.kill();
    abandonment.add({ job: current?.name ?? "", step: current?.step ?? "start", pid: process.pid, since: heardAt });
    release(child, outcome);
  };

  const tick = (): void => {
    timer = undefined;
    timerDue = Number.POSITIVE_INFINITY;
    // The truth is in the pipes: a late timer must not judge by what it happens to have read.
    for (const child of [...children]) receive(child);
    const now = performance.now();
    for (const child of [...children]) judge(child, now);
    jobs.expireWaiting(now);
    assign();
  };

  const judge = (child: Child, now: number): void => {
    const { current, given } = child;
    child.judgedAt = now;
    if (!child.ready) {
      if (now - child.startedAt >= startDeadlineMs) endFailedStart(child);
      return;
    }
    const late = [...given.values()].filter(({ deadlineAt, expired }) => deadlineAt <= now && !expired);
    for (const job of late) if (job !== current) jobs.expire(job);
    const isSilent = now - child.heardAt >= patienceMs;
    // Begun when nobody waited for it any more, it has the time of one that is overtaken.
    const isTooLate = current !== undefined && (late.includes(current) || (current.expired && isSilent));
    // Silent without having begun anything: the process itself does not run (stopped, or starved).
    if (isTooLate || (current === undefined && isSilent && hasExpired(child))) {
      if (current !== undefined) noteLate(child, current);
      discard(child, { status: "timeout", step: current?.step ?? "", begun: true });
    } else if (current !== undefined && isSilent) {
      child.silent = true;
      jobs.putBack(takeBack(child));
    } else if (given.size === 0 && now - child.idleSince >= spareIdleMs && children.size > 1) {
      retire(child);
    }
  };

  /** A job that has said nothing since it began is known by the file that it waits for. */
  const noteLate = ({ process }: Child, job: Job): void => {
    const file = job.step === "begin" ? readBlockedFile(process.pid) : undefined;
    if (file !== undefined) job.step = `read ${file}`;
    jobs.noteTimeout(job);
    jobs.suspect(job);
  };

  const endFailedStart = (child: Child): void => {
    log.error("probe process does not start", { pool, seconds: startDeadlineMs / 1000 });
    discard(child, stopped);
    backOff();
    jobs.failWaiting(`the probe process does not start within ${startDeadlineMs / 1000} s`);
  };

  const retire = (child: Child): void => {
    children.delete(child);
    child.process.finish();
    child.process.close();
  };

  const schedule = (): void => {
    const due = nextDue();
    const isIdle = due === Number.POSITIVE_INFINITY;
    if (closed || (due >= timerDue && !isIdle)) return;
    clearTimeout(timer);
    timerDue = due;
    // A process that sleeps until the next scrape is not woken up to find nothing.
    if (isIdle) return;
    timer = setTimeout(tick, Math.max(1, Math.ceil(due - performance.now()))).unref();
  };

  const nextDue = (): number => {
    let due = jobs.nextDeadline();
    for (const child of children) {
      const { given, ready } = child;
      if (!ready) due = Math.min(due, child.startedAt + startDeadlineMs);
      // Looked at three times as often: what it has begun, or floods us with, stays in the pipe until somebody looks.
      else if (given.size > 0) due = Math.min(due, Math.max(child.heardAt, child.judgedAt) + patienceMs / 3);
      else if (given.size === 0 && children.size > 1) due = Math.min(due, child.idleSince + spareIdleMs);
      for (const { deadlineAt, expired } of given.values()) if (!expired) due = Math.min(due, deadlineAt);
    }
    return due;
  };

  const close = (): void => {
    closed = true;
    clearTimeout(timer);
    for (const child of [...children]) {
      children.delete(child);
      child.process.kill();
      for (const job of child.given.values()) jobs.settle(job, stopped);
    }
    for (const job of jobs.takeWaiting()) jobs.settle(job, stopped);
    abandonment.close();
  };

  const endAll = async (graceMs: number): Promise<void> => {
    jobs.failWaiting(stopped.error);
    const ending = [...children];
    for (const child of ending) {
      child.ending = true;
      if (!child.ready) discard(child, stopped);
      else child.process.finish();
    }
    await haveExited(ending, graceMs);
    for (const child of ending) if (children.has(child)) discard(child, stopped);
    await haveExited(ending, killedMs);
  };

  const finishAll = (graceMs: number): Promise<void> => {
    finishing ??= endAll(graceMs).finally(() => {
      finishing = undefined;
      assign();
    });
    return finishing;
  };

  return {
    ask,
    run: (name, params, runOptions) => new Promise((resolve) => ask(name, params, runOptions, resolve)),
    start: () => {
      if (children.size === 0) startOne();
      schedule();
    },
    stuckJobs: abandonment.jobs,
    processes: () => ({ running: children.size + abandonment.count(), abandoned: abandonment.count() }),
    close,
    finish: finishAll,
  };
}
