import { readSync, writeSync } from "node:fs";
import { isErrno } from "../read.ts";
import { describeError } from "../../runtime/log.ts";
import { encodeFrame, type FrameHeader } from "./frames.ts";

/** Where the daemon listens: requests come in on 0, a byte on 1 says "look at 3", frames go out on 3. */
const requestFd = 0;
const signalFd = 1;
const frameFd = 3;
/** The pipe holds about 200 KiB or 250 small writes; the daemon is called earlier, so that neither side waits. */
const unreadBytesLimit = 64 * 1024;
const unreadWritesLimit = 64;
/**
 * A job that took this long may have been overtaken: the daemon moves waiting jobs elsewhere after twice this time.
 * The process then forgets what it was sent and asks again, so that nothing runs in two processes at once.
 */
export const yieldAfterMs = 150;

const batchesBetweenCollections = 100;
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
  readonly payload?: Uint8Array;
}

export type JobHandler = (params: unknown, context: JobContext) => JobResult | Promise<JobResult>;

/** By the first word of the job's name. */
export type JobHandlers = Readonly<Record<string, JobHandler>>;

export interface JobRequest {
  readonly id: number;
  readonly job: string;
  readonly params: unknown;
  readonly deadlineMs: number;
}

/** A line from the daemon: the setup (always the first), a job, or the answer to `yield`. */
export type WorkerRequest = { readonly setup: unknown } | JobRequest | { readonly resume: true };

/**
 * The life of a probe process: reads jobs from stdin with blocking reads, runs one after the other, and returns when
 * stdin ends, which it does when the daemon is gone.
 */
export async function serveJobs(createHandlers: (setup: unknown) => JobHandlers | Promise<JobHandlers>): Promise<void> {
  // Ctrl-C goes to every process of the terminal; the daemon decides when its probes end.
  process.on("SIGINT", () => {});
  const nextRequest = createRequestReader();
  const output = createOutput();
  const first = nextRequest();
  if (first === undefined || !("setup" in first)) return;
  const handlers = await createHandlers(first.setup);
  output.hold({ event: "ready" });
  output.signal();
  let batches = 0;
  let batchBytes = 0;
  for (let request = nextRequest(); request !== undefined; request = nextRequest()) {
    if (!("job" in request)) continue;
    const startedAt = performance.now();
    batchBytes += await runJob(request, handlers, output);
    if (performance.now() - startedAt >= yieldAfterMs) {
      output.hold({ event: "yield" });
      output.signal();
      do request = nextRequest();
      while (request !== undefined && !("resume" in request));
    }
    if (!nextRequest.isIdle()) continue;
    output.signal();
    batches++;
    // While it waits in a blocking read the runtime never gets to collect garbage at leisure.
    if (batches % batchesBetweenCollections === 0 || batchBytes >= bulkyBatchBytes) Bun.gc(true);
    batchBytes = 0;
  }
}

/** The length of the answer's payload. */
async function runJob(request: JobRequest, handlers: JobHandlers, output: Output): Promise<number> {
  const { id, job, params, deadlineMs } = request;
  output.send({ event: "begin", id });
  try {
    const handler = handlers[job.split(" ", 1)[0] ?? ""];
    if (handler === undefined) throw new Error(`no handler for the job ${job}`);
    const step = (name: string): void => output.send({ event: "step", id, step: name });
    const { header, payload } = await handler(params, { job, deadlineMs, step });
    output.hold({ event: "done", id, header: header ?? {} }, payload);
    return payload?.length ?? 0;
  } catch (error) {
    output.hold({ event: "error", id, error: String(describeError(error)) });
    return 0;
  }
}

interface Output {
  /** Out at once: what is announced must be known even if the process never runs again. */
  send(header: FrameHeader): void;
  /** Out with the next `send` or `signal`: one system call fewer for each job. */
  hold(header: FrameHeader, payload?: Uint8Array): void;
  /** Calls the daemon to the pipe. */
  signal(): void;
}

function createOutput(): Output {
  const one = new Uint8Array([0x0a]);
  let held: Uint8Array[] = [];
  let unreadBytes = 0;
  let unreadWrites = 0;
  const call = (): void => {
    unreadBytes = 0;
    unreadWrites = 0;
    writeAll(signalFd, one, () => {});
  };
  const flush = (): void => {
    const bytes = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held);
    held = [];
    if (bytes.length === 0) return;
    writeAll(frameFd, bytes, call);
    unreadBytes += bytes.length;
    unreadWrites++;
    if (unreadBytes >= unreadBytesLimit || unreadWrites >= unreadWritesLimit) call();
  };
  return {
    hold: (header, payload) => void held.push(encodeFrame(header, payload)),
    send: (header) => {
      held.push(encodeFrame(header));
      flush();
    },
    signal: () => {
      flush();
      call();
    },
  };
}

/** The pipe may be full: the reader is called and given a moment. */
function writeAll(fd: number, bytes: Uint8Array, callReader: () => void): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let written = 0;
  while (written < bytes.length) {
    try {
      // A blocking write of more than the pipe holds would wait for a reader that nobody has called.
      if (bytes.length - written > unreadBytesLimit) callReader();
      written += writeSync(fd, bytes, written, Math.min(bytes.length - written, unreadBytesLimit));
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
  let lines: string[] = [];
  let rest = "";
  const read = (): WorkerRequest | undefined => {
    while (lines.length === 0) {
      const length = readSync(requestFd, chunk, 0, chunk.length, null);
      if (length === 0) return undefined;
      const parts = (rest + decoder.decode(chunk.subarray(0, length), { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      lines = parts;
    }
    return JSON.parse(lines.shift() ?? "") as WorkerRequest;
  };
  return Object.assign(read, { isIdle: () => lines.length === 0 });
}
