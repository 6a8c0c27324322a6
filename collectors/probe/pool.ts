import { describeError, type Logger } from "../../runtime/log.ts";
import { createAbandonment, type StuckJob } from "./abandonment.ts";
import { readBlockedFile } from "./blocked-file.ts";
import { type Frame, FrameError, type Result } from "./frames.ts";
import { createJobList, type Job, type JobOutcome, type RunOptions, type TakeOutcome } from "./jobs.ts";
import { minimalEnvironment, type ProbeProcess, startProbeProcess } from "./process.ts";
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

interface Worker {
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
  const workers = new Set<Worker>();
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
      const available = [...workers].filter(({ ready, silent, ending }) => ready && !silent && !ending);
      const worker = available.find(({ given }) => given.size === 0) ?? available[0];
      const starting = [...workers].some(({ ready }) => !ready);
      if (worker !== undefined) send(worker, jobs.takeWaiting());
      // With every child silent and no more allowed, jobs wait for one of them or for their deadline.
      else if (!starting && workers.size < maxProcesses) startWorker();
    }
    schedule();
  };

  const send = (worker: Worker, batch: readonly Job[]): void => {
    const now = performance.now();
    worker.heardAt = now;
    for (const job of batch) worker.given.set(job.id, job);
    worker.process.send(
      batch.map(({ id, name, params, deadlineAt, suspect }) => {
        const request = { id, job: name, params, deadlineMs: Math.round(deadlineAt - now) };
        return suspect ? { ...request, suspect } : request;
      }),
    );
  };

  const startWorker = (): void => {
    const now = performance.now();
    const abandoned = abandonment.count();
    if (abandoned >= maxAbandoned) {
      jobs.failWaiting(`${abandoned} stuck probe processes cannot be ended, no more are started`);
    } else if (now < startNotBefore) {
      jobs.failWaiting("probe processes end as soon as they are started; the next try is due shortly");
    } else {
      try {
        workers.add(spawnWorker(now));
      } catch (error) {
        backOff();
        jobs.failWaiting(`cannot start a probe process: ${String(describeError(error))}`);
      }
    }
  };

  const spawnWorker = (now: number): Worker => {
    const process = startProbeProcess(options.command, environment, {
      onReadable: () => receive(worker),
      onExit: (reason) => onExit(worker, reason),
    });
    const worker: Worker = {
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
    process.send([{ setup: options.setup }]);
    return worker;
  };

  const backOff = (): void => {
    startNotBefore = performance.now() + Math.min(backoffMs.first * 2 ** startFailures, backoffMs.most);
    startFailures++;
  };

  const receive = (worker: Worker): void => {
    if (!workers.has(worker)) return;
    // Before the pipe is read: a job whose answer is in it is not taken for one that still runs.
    noteBegun(worker, worker.given.get(worker.process.begun()));
    try {
      for (const frame of worker.process.drain()) onFrame(worker, frame);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      log.error("probe process sends what is no answer and is ended", { pool, job: worker.current?.name, error });
      discard(worker, { status: "failed", error: `unreadable answer of the probe process: ${error.message}` });
    }
    if (jobs.hasWaiting()) assign();
    else if (worker.given.size === 0) schedule();
  };

  const noteBegun = (worker: Worker, job: Job | undefined): void => {
    if (job === undefined || job === worker.current) return;
    worker.current = job;
    worker.heardAt = performance.now();
    job.step = "begin";
  };

  const onFrame = (worker: Worker, frame: Frame): void => {
    worker.heardAt = performance.now();
    if (frame.event === "ready") {
      worker.ready = true;
      const slownessMs = Math.max(0, worker.heardAt - worker.startedAt - ordinaryStartMs);
      patienceMs = silenceMs + Math.min(slownessMs, mostPatienceMs);
      startFailures = 0;
      return;
    }
    if (frame.event === "yield") {
      // It finds that there is nothing more to come.
      if (worker.ending) return;
      // After a slow job. The child has forgotten what it was sent; what was not moved meanwhile is sent again.
      worker.moved.clear();
      if (worker.last !== undefined) jobs.suspect(worker.last);
      worker.process.send([{ resume: true }]);
      if (worker.given.size > 0) send(worker, [...worker.given.values()]);
      return;
    }
    if (frame.event === "done") {
      worker.silent = false;
      worker.idleSince = worker.heardAt;
      for (const result of frame.results) finish(worker, result);
      return;
    }
    const job = worker.given.get(frame.id);
    if (job === undefined) throw new FrameError("a step of a job that it was not given");
    noteBegun(worker, job);
    job.step = frame.step;
    job.onStep?.(job.step);
  };

  const finish = (worker: Worker, result: Result): void => {
    const job = worker.given.get(result.id);
    if (job !== undefined) {
      worker.given.delete(job.id);
      worker.last = job;
      if (worker.current === job) worker.current = undefined;
      jobs.finish(job, toOutcome(result));
    } else if (!worker.moved.delete(result.id)) {
      throw new FrameError("a result of a job that it was not given");
    }
  };

  const onExit = (worker: Worker, reason: string): void => {
    abandonment.reaped(worker.process.pid);
    // It may have answered before it ended.
    receive(worker);
    if (workers.delete(worker)) bury(worker, reason);
    assign();
  };

  const isAsked = ({ ending }: Worker, reason: string): boolean => ending && reason === "exit code 0";

  const bury = (worker: Worker, reason: string): void => {
    const { current, process, ready } = worker;
    process.close();
    if (isAsked(worker, reason)) return release(worker, stopped);
    const stderr = process.lastWords();
    log.warn("probe process ended", { pool, reason, job: current?.name, step: current?.step, stderr });
    release(worker, { status: "failed", error: `its process ended with ${reason}` });
    if (ready) return;
    backOff();
    jobs.failWaiting(`the probe process ended with ${reason} when started: ${stderr}`);
  };

  /** What the child has begun ends with `outcome`; the rest of its jobs wait for another child. */
  const release = (worker: Worker, outcome: JobOutcome): void => {
    if (worker.current !== undefined) jobs.settle(worker.current, outcome);
    if (worker.ending) for (const job of worker.given.values()) jobs.settle(job, stopped);
    else moveJobs(worker);
    worker.given.clear();
  };

  /**
   * Back to the list with all but the current one. The child runs none of them: it yields after a slow job. Those that
   * it had done and not told of run a second time elsewhere; what it says about them later is of no interest.
   */
  const moveJobs = (worker: Worker): void => {
    const moved = [...worker.given.values()].filter((job) => job !== worker.current);
    for (const { id } of moved) {
      worker.given.delete(id);
      worker.moved.add(id);
    }
    jobs.putBack(moved);
  };

  /** Kills the child; what it had begun is out of reach until the child is reaped. */
  const discard = (worker: Worker, outcome: JobOutcome): void => {
    workers.delete(worker);
    const { current, process, heardAt } = worker;
    process.kill();
    abandonment.add({ job: current?.name ?? "", step: current?.step ?? "start", pid: process.pid, since: heardAt });
    release(worker, outcome);
  };

  const tick = (): void => {
    timer = undefined;
    timerDue = Number.POSITIVE_INFINITY;
    // The truth is in the pipes: a late timer must not judge by what it happens to have read.
    for (const worker of [...workers]) receive(worker);
    const now = performance.now();
    for (const worker of [...workers]) judge(worker, now);
    jobs.expireWaiting(now);
    assign();
  };

  const judge = (worker: Worker, now: number): void => {
    const { current, given } = worker;
    worker.judgedAt = now;
    if (!worker.ready) {
      if (now - worker.startedAt >= startDeadlineMs) endFailedStart(worker);
      return;
    }
    const late = [...given.values()].filter(({ deadlineAt, expired }) => deadlineAt <= now && !expired);
    for (const job of late) {
      if (job !== current) jobs.expire(job);
      else noteLate(worker, job);
    }
    const isSilent = now - worker.heardAt >= patienceMs;
    // Silent without having begun anything: the process itself does not run (stopped, or starved).
    if (current === undefined ? isSilent && hasExpired(worker) : late.includes(current)) {
      if (current !== undefined) jobs.suspect(current);
      discard(worker, { status: "timeout", step: current?.step ?? "", begun: true });
    } else if (current !== undefined && isSilent) {
      worker.silent = true;
      moveJobs(worker);
    } else if (given.size === 0 && now - worker.idleSince >= spareIdleMs && workers.size > 1) {
      retire(worker);
    }
  };

  /** A job that has said nothing since it began is known by the file that it waits for. */
  const noteLate = ({ process }: Worker, job: Job): void => {
    const file = job.step === "begin" ? readBlockedFile(process.pid) : undefined;
    if (file !== undefined) job.step = `read ${file}`;
    jobs.noteTimeout(job);
  };

  const endFailedStart = (worker: Worker): void => {
    log.error("probe process does not start", { pool, seconds: startDeadlineMs / 1000 });
    discard(worker, stopped);
    backOff();
    jobs.failWaiting(`the probe process does not start within ${startDeadlineMs / 1000} s`);
  };

  const retire = (worker: Worker): void => {
    workers.delete(worker);
    worker.process.finish();
    worker.process.close();
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
    for (const worker of workers) {
      const { given, ready } = worker;
      if (!ready) due = Math.min(due, worker.startedAt + startDeadlineMs);
      // Looked at three times as often: what it has begun, or floods us with, stays in the pipe until somebody looks.
      else if (given.size > 0) due = Math.min(due, Math.max(worker.heardAt, worker.judgedAt) + patienceMs / 3);
      else if (given.size === 0 && workers.size > 1) due = Math.min(due, worker.idleSince + spareIdleMs);
      for (const { deadlineAt, expired } of given.values()) if (!expired) due = Math.min(due, deadlineAt);
    }
    return due;
  };

  const close = (): void => {
    closed = true;
    clearTimeout(timer);
    for (const worker of [...workers]) {
      workers.delete(worker);
      worker.process.kill();
      for (const job of worker.given.values()) jobs.settle(job, stopped);
    }
    for (const job of jobs.takeWaiting()) jobs.settle(job, stopped);
    abandonment.close();
  };

  const endAll = async (graceMs: number): Promise<void> => {
    jobs.failWaiting(stopped.error);
    const ending = [...workers];
    for (const worker of ending) {
      worker.ending = true;
      if (!worker.ready) discard(worker, stopped);
      else worker.process.finish();
    }
    await haveExited(ending, graceMs);
    for (const worker of ending) if (workers.has(worker)) discard(worker, stopped);
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
      if (workers.size === 0) startWorker();
      schedule();
    },
    stuckJobs: abandonment.jobs,
    processes: () => ({ running: workers.size + abandonment.count(), abandoned: abandonment.count() }),
    close,
    finish: finishAll,
  };
}

async function haveExited(workers: readonly Worker[], limitMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([late, Promise.all(workers.map(({ process }) => process.exited))]);
  clearTimeout(timer);
}

function hasExpired({ given }: Worker): boolean {
  return [...given.values()].some(({ expired }) => expired);
}

function toOutcome(result: Result): JobOutcome {
  if ("error" in result) return { status: "failed", error: result.error };
  return { status: "done", header: result.header, payload: result.payload };
}
