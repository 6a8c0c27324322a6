import { readSync, writeSync } from "node:fs";
import { isErrno } from "../read.ts";
import { describeError } from "../../runtime/log.ts";
import { releaseResidentCode } from "../../runtime/resident-code.ts";
import { type BegunJob, openBegunJob } from "./begun-job.ts";
import { createFrameWriter, type OutgoingFrame, type OutgoingResult } from "./frames.ts";

/**
 * Where the daemon listens: requests come in on 0, a byte on 1 says "look at 3", frames go out on 3, the job that is
 * begun stands in the memory of 4.
 */
const requestFd = 0;
const signalFd = 1;
const frameFd = 3;
const begunJobFd = 4;
/** The pipe holds about 200 KiB or 250 small writes; the daemon is called earlier, so that neither side waits. */
const unreadBytesLimit = 64 * 1024;
const unreadWritesLimit = 128;
/**
 * A job that took this long may have been overtaken: the daemon moves waiting jobs elsewhere after twice this time.
 * The process then forgets what it was sent and asks again, so that nothing runs in two processes at once.
 */
export const yieldAfterMs = 150;

/**
 * With `holdResults` those of a batch go out together, for one answer costs the daemon a fraction of fifty. When the
 * process gets stuck, jobs whose results are not out run again elsewhere, so none waits for longer than this, nor do more.
 */
const holdMs = 20;
const holdBytes = 512 * 1024;

const batchesBetweenCollections = 500;
/** By then all that it does has been done once. */
const batchesOfStart = 3;
/** So much in one batch (a huge text file) leaves many times that behind. */
const bulkyBatchBytes = 2 * 1024 * 1024;

export interface JobContext {
  /** The whole name of the job, "collect cpu". */
  readonly job: string;
  /** Milliseconds until the daemon gives this job up. */
  readonly deadlineMs: number;
  /** Names what is about to be done, before it is done: "statfs", "readdir". */
  step(name: string): void;
}

export interface JobResult {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly payload?: Uint8Array | string;
}

export type JobHandler = (params: unknown, context: JobContext) => JobResult | Promise<JobResult>;

/** By the first word of the job's name. */
export type JobHandlers = Readonly<Record<string, JobHandler>>;

export interface JobRequest {
  readonly id: number;
  readonly job: string;
  readonly params: unknown;
  readonly deadlineMs: number;
  /** It hung or was slow when it ran last: the results of the jobs before it do not wait for it. */
  readonly suspect?: boolean;
}

/** A line from the daemon is a list of these: the setup (always the first), a job, the answer to `yield`. */
export type WorkerRequest = { readonly setup: unknown } | JobRequest | { readonly resume: true };

/**
 * The life of a probe process: reads jobs from stdin with blocking reads, runs one after the other, and returns when
 * stdin ends, which it does when the daemon is gone.
 */
export async function serveJobs(
  createHandlers: (setup: unknown) => JobHandlers | Promise<JobHandlers>,
  { holdResults = false } = {},
): Promise<void> {
  // Ctrl-C goes to every process of the terminal, systemd's SIGTERM to every process of the unit; the daemon, which may
  // have a page to finish, decides when its probes end.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  const nextRequest = createRequestReader();
  const output = createOutput();
  const begunJob = openBegunJob(begunJobFd);
  const first = nextRequest();
  if (first === undefined || !("setup" in first)) return;
  const handlers = await createHandlers(first.setup);
  output.send({ event: "ready" });
  output.signal();
  let batches = 0;
  let batchBytes = 0;
  for (let request = nextRequest(); request !== undefined; request = nextRequest()) {
    if (!("job" in request)) continue;
    const startedAt = performance.now();
    if (request.suspect === true) output.signal();
    else if (!holdResults) output.report();
    batchBytes += await runJob(request, handlers, { output, begunJob });
    if (performance.now() - startedAt >= yieldAfterMs) {
      output.report();
      output.send({ event: "yield" });
      output.signal();
      do request = nextRequest();
      while (request !== undefined && !("resume" in request));
    }
    if (!nextRequest.isIdle()) continue;
    output.signal();
    batches++;
    // While it waits in a blocking read the runtime never gets to collect garbage at leisure.
    if (batches % batchesBetweenCollections === 0 || batchBytes >= bulkyBatchBytes) Bun.gc(true);
    if (batches === batchesOfStart) releaseResidentCode();
    batchBytes = 0;
  }
}

interface Daemon {
  readonly output: Output;
  readonly begunJob: BegunJob;
}

/** The length of the answer's payload. */
async function runJob(request: JobRequest, handlers: JobHandlers, { output, begunJob }: Daemon): Promise<number> {
  const { id, job, params, deadlineMs } = request;
  // What is announced must be known even if the process never runs again.
  begunJob.set(id);
  try {
    const handler = handlers[job.split(" ", 1)[0] ?? ""];
    if (handler === undefined) throw new Error(`no handler for the job ${job}`);
    const step = (name: string): void => output.send({ event: "step", id, step: name });
    const { header = {}, payload = "" } = await handler(params, { job, deadlineMs, step });
    output.hold({ id, header, payload });
    return payload.length;
  } catch (error) {
    output.hold({ id, error: String(describeError(error)) });
    return 0;
  }
}

interface Output {
  send(frame: OutgoingFrame): void;
  hold(result: OutgoingResult): void;
  /** What is held goes out. */
  report(): void;
  /** What is held goes out, and the daemon is called to the pipe. */
  signal(): void;
}

function createOutput(): Output {
  const one = new Uint8Array([0x0a]);
  let results: OutgoingResult[] = [];
  let heldBytes = 0;
  let heldSince = 0;
  let unreadBytes = 0;
  let unreadWrites = 0;
  const call = (): void => {
    unreadBytes = 0;
    unreadWrites = 0;
    writeAll(signalFd, one, one.length, () => {});
  };
  const write = (bytes: Uint8Array, length: number): void => {
    writeAll(frameFd, bytes, length, call);
    unreadBytes += length;
    unreadWrites++;
    if (unreadBytes >= unreadBytesLimit || unreadWrites >= unreadWritesLimit) call();
  };
  const send = createFrameWriter(write);
  const report = (): void => {
    if (results.length > 0) send({ event: "done", results });
    results = [];
    heldBytes = 0;
  };
  return {
    send,
    report,
    hold: (result) => {
      const now = performance.now();
      if (results.length === 0) heldSince = now;
      results.push(result);
      heldBytes += "payload" in result ? result.payload.length : 0;
      if (heldBytes >= holdBytes || now - heldSince >= holdMs) report();
    },
    signal: () => {
      report();
      call();
    },
  };
}

const pause = new Int32Array(new SharedArrayBuffer(4));

/** The pipe may be full: the reader is called and given a moment. */
function writeAll(fd: number, bytes: Uint8Array, length: number, callReader: () => void): void {
  let written = 0;
  while (written < length) {
    try {
      // A blocking write of more than the pipe holds would wait for a reader that nobody has called.
      if (length - written > unreadBytesLimit) callReader();
      written += writeSync(fd, bytes, written, Math.min(length - written, unreadBytesLimit));
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      callReader();
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

interface RequestReader {
  /** Blocks until there is a request; undefined when the daemon has closed the pipe. */
  (): WorkerRequest | undefined;
  isIdle(): boolean;
}

function createRequestReader(): RequestReader {
  const chunk = new Uint8Array(64 * 1024);
  const decoder = new TextDecoder();
  let requests: WorkerRequest[] = [];
  let rest = "";
  const read = (): WorkerRequest | undefined => {
    while (requests.length === 0) {
      const length = readSync(requestFd, chunk, 0, chunk.length, null);
      if (length === 0) return undefined;
      const lines = (rest + decoder.decode(chunk.subarray(0, length), { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      requests = lines.flatMap((line) => JSON.parse(line) as WorkerRequest[]);
    }
    return requests.shift();
  };
  return Object.assign(read, { isIdle: () => requests.length === 0 });
}
