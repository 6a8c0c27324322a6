import { closeSync, readFileSync, readSync } from "node:fs";
import { errnoOf, isErrno } from "../read.ts";
import { createBegunJob } from "./begun-job.ts";
import { createFrameReader, type Frame, FrameError } from "./frames.ts";
import type { WorkerRequest } from "./worker.ts";

/** A running probe process as the daemon sees it. Nothing here waits for it. */
export interface ProbeProcess {
  readonly pid: number;
  /** Resolves once it is gone, whatever its end was, and `onExit` has been called. */
  readonly exited: Promise<void>;
  send(requests: readonly WorkerRequest[]): void;
  /** The id of the job that it has begun last, 0 before the first. */
  begun(): number;
  /** What has arrived since the last call; throws FrameError when the process talks nonsense. */
  drain(): Frame[];
  /** The process ends by itself once it has nothing to do. */
  finish(): void;
  /** Ends it as far as the kernel allows and hears nothing from it any more. */
  kill(): void;
  /** Hears nothing from it any more; called once it has exited. */
  close(): void;
  /** What it said on stderr, the last lines. */
  lastWords(): string;
}

export interface ProbeProcessEvents {
  onReadable(): void;
  /** `reason` reads "exit code 1" or "signal SIGKILL". */
  onExit(reason: string): void;
}

const stderrLimit = 2048;
/** Read in one go at most; a process that writes without end must not keep the daemon from its other work. */
const drainLimitBytes = 8 * 1024 * 1024;

export function startProbeProcess(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  events: ProbeProcessEvents,
): ProbeProcess {
  const { promise: exited, resolve: noteExit } = Promise.withResolvers<void>();
  const begunJob = createBegunJob();
  let child;
  try {
    child = Bun.spawn([...command], {
      cwd: "/",
      env: { ...env },
      stdio: ["pipe", "pipe", "pipe", "pipe", begunJob.fd],
      onExit: (_, exitCode, signalCode) => {
        events.onExit(exitCode === null ? `signal ${String(signalCode)}` : `exit code ${exitCode}`);
        noteExit();
      },
    });
  } finally {
    closeSync(begunJob.fd);
  }
  // A process that is stuck in the kernel must not keep the daemon from ending.
  child.unref();
  const reading = openFramePipe(child.stdio[3], events.onReadable);
  let words = "";
  void forEachChunk(child.stdout, () => events.onReadable());
  void forEachChunk(child.stderr, (chunk) => {
    words = (words + Buffer.from(chunk).toString("utf8")).slice(-stderrLimit);
  });
  return {
    pid: child.pid,
    exited,
    send: (requests) => {
      child.stdin.write(`${JSON.stringify(requests)}\n`);
      // A child that has ended takes no more; its exit is reported by itself.
      Promise.resolve(child.stdin.flush()).catch(ignoreClosedPipe);
    },
    begun: begunJob.get,
    drain: reading.drain,
    finish: () => void child.stdin.end(),
    kill: () => {
      child.kill("SIGKILL");
      reading.close();
    },
    close: reading.close,
    lastWords: () => words.trim(),
  };
}

/** The descriptor is non-blocking, so it is read without waiting whenever the daemon looks. */
function openFramePipe(fd: number | null | undefined, onMore: () => void): { drain(): Frame[]; close(): void } {
  if (typeof fd !== "number") throw new Error("the probe process has no frame pipe");
  const push = createFrameReader();
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    close,
    drain: () => {
      const frames: Frame[] = [];
      for (let total = 0; open;) {
        const length = readAvailable(fd);
        if (length === undefined) break;
        if (length === 0) close();
        else frames.push(...push(buffer.subarray(0, length)));
        total += length;
        if (total < drainLimitBytes) continue;
        setImmediate(onMore);
        break;
      }
      return frames;
    },
  };
}

// One buffer for all pipes: payloads are copied out of it before the next read.
const buffer = Buffer.allocUnsafeSlow(256 * 1024);

function readAvailable(fd: number): number | undefined {
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return undefined;
    if (isErrno(error, "ECONNRESET")) return 0;
    throw new FrameError("cannot read from the probe process", { cause: error });
  }
}

async function forEachChunk(stream: ReadableStream<Uint8Array>, take: (chunk: Uint8Array) => void): Promise<void> {
  try {
    for await (const chunk of stream) take(chunk);
  } catch (error) {
    // The pipe of a process that was killed may end with an error; its exit is reported by itself.
    if (errnoOf(error) === undefined) throw error;
  }
}

function ignoreClosedPipe(error: unknown): void {
  if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
}

/** The kernel function that a process waits in, "request_wait_answer"; undefined when the kernel does not say. */
export function readWaitChannel(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/wchan`, "utf8").trim();
    return text === "" || text === "0" ? undefined : text;
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** What a probe needs of our environment; nothing that could make it load code or talk to strangers. */
export function minimalEnvironment(): Record<string, string> {
  const kept = ["PATH", "TZ", "DBUS_SYSTEM_BUS_ADDRESS"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C", ...Object.fromEntries(kept) };
}
