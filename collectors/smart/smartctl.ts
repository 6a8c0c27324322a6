import type { Logger } from "../../runtime/log.ts";
import { createAbandonment } from "../probe/abandonment.ts";
import { minimalEnvironment } from "../probe/process.ts";

/** How one call of smartctl ended. */
export type SmartctlResult =
  | { readonly end: "exited"; readonly exitStatus: number; readonly stdout: string }
  | { readonly end: "deadline" }
  /** Not started: the call before it cannot be killed, it waits in the kernel. */
  | { readonly end: "stuck"; readonly pid: number; readonly wchan: string | undefined }
  | { readonly end: "failed"; readonly error: string };

export interface Smartctl {
  /** One call about `device`; never a second one while the first has not been reaped. Never rejects. */
  call(device: string, args: readonly string[], deadlineMs: number): Promise<SmartctlResult>;
  stop(): void;
}

const maxStdoutBytes = 1 << 20;
const maxAbandoned = 8;
/** A wrapper script may end before a program that it has started, which then holds the pipe open. */
const pipeGraceMs = 1000;

/** smartctl has a timeout of 60 s for each command to a disk and none for all of them; this is the one for all. */
export function createSmartctl(program: string, log: Logger): Smartctl {
  const abandonment = createAbandonment("smart", log);
  const running = new Set<{ kill(signal: "SIGKILL"): void }>();

  const call: Smartctl["call"] = async (device, args, deadlineMs) => {
    const stuck = abandonment.find(device);
    if (stuck !== undefined) return { end: "stuck", pid: stuck.pid, wchan: stuck.wchan };
    if (abandonment.count() >= maxAbandoned) {
      return { end: "failed", error: `${maxAbandoned} stuck smartctl processes, no more are started` };
    }
    return start(device, args, deadlineMs);
  };

  const start = (device: string, args: readonly string[], deadlineMs: number): Promise<SmartctlResult> => {
    const { promise, resolve } = Promise.withResolvers<SmartctlResult>();
    const since = performance.now();
    const output = { text: "" };
    let reading = Promise.resolve();
    try {
      const child = Bun.spawn([program, ...args], {
        cwd: "/",
        env: minimalEnvironment(),
        stdio: ["ignore", "pipe", "ignore"],
        onExit: (_, exitCode) => {
          clearTimeout(timer);
          running.delete(child);
          abandonment.reaped(child.pid);
          const end = (): void => resolve({ end: "exited", exitStatus: exitCode ?? -1, stdout: output.text });
          void Promise.race([reading, Bun.sleep(pipeGraceMs)]).then(end);
        },
      });
      child.unref();
      running.add(child);
      reading = readInto(output, child.stdout, () => child.kill("SIGKILL"));
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        abandonment.add({ job: device, step: "smartctl", pid: child.pid, since });
        resolve({ end: "deadline" });
      }, deadlineMs).unref();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      resolve({ end: "failed", error: `cannot start ${program}: ${reason}` });
    }
    return promise;
  };

  return {
    call,
    stop: () => {
      for (const child of running) child.kill("SIGKILL");
      abandonment.close();
    },
  };
}

async function readInto(
  output: { text: string },
  stream: ReadableStream<Uint8Array>,
  onTooMuch: () => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    output.text += decoder.decode(chunk, { stream: true });
    if (output.text.length > maxStdoutBytes) return onTooMuch();
  }
}
