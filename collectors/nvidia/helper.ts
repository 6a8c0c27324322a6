import { selfCommand } from "../../runtime/self.ts";
import type { Logger } from "../../runtime/log.ts";
import type { JobOutcome } from "../probe/jobs.ts";
import { createProbePool, type ProbePool } from "../probe/pool.ts";
import { minimalEnvironment } from "../probe/process.ts";
import { describeFault, type NvmlFault } from "./errors.ts";
import type { NvmlSetup, OperatorFiles, SampleParams } from "./probe.ts";
import type { DeviceList, GpuReading, XidEvent } from "./reading.ts";

export type Answer<T> =
  | { readonly status: "done"; readonly value: T }
  | { readonly status: "fault"; readonly fault: NvmlFault }
  /** `step` is the call that does not come back. */
  | { readonly status: "stuck"; readonly step: string; readonly wchan: string | undefined }
  /** Nobody has asked the device: all processes are held up by others. */
  | { readonly status: "unasked" }
  | { readonly status: "failed"; readonly error: string };

/** The helper processes as the daemon uses them. Nothing here blocks or rejects. */
export interface NvmlHelper {
  /** Opens the library anew. The first contact may take long, a later one no longer than a sample. */
  list(contact: "first" | "again"): Promise<Answer<DeviceList>>;
  sample(params: SampleParams): Promise<Answer<GpuReading>>;
  events(): Promise<Answer<readonly XidEvent[]>>;
  files(): Promise<Answer<OperatorFiles>>;
  abandoned(): number;
  /** A process that has asked this GPU was ended and is still in the driver: until it has gone nobody is asked. */
  isHeld(pciBusId: string): boolean;
  /** The devices are given back to the driver, and every process ends that can; the next question starts a new one. */
  finish(): Promise<void>;
}

export interface NvmlHelperOptions {
  readonly setup: NvmlSetup;
  readonly deadlineMs: number;
  readonly log: Logger;
  /** Called with the process id of every process that has answered. */
  readonly onProcess: (pid: number) => void;
}

/** The first contact loads GPUs that no other process keeps initialised: seconds for each. */
const listDeadlineMs = 60_000;
/** After this much silence about one GPU the others are read by another process. */
const silenceMs = 1500;
const maxAbandoned = 2;
/**
 * A process that answers ends within milliseconds; a driver that puts eight GPUs to sleep takes its time. To kill a
 * process in the middle of a call is what leaves a GPU in a state that only a reset ends.
 */
const finishGraceMs = 8000;
/** Optimised machine code would cost memory and save nothing: a round is a few hundred calls. */
const smallProcess = { BUN_JSC_useDFGJIT: "0", BUN_JSC_useFTLJIT: "0" };

export function createNvmlHelper({ setup, deadlineMs, log, onProcess }: NvmlHelperOptions): NvmlHelper {
  const pool: ProbePool = createProbePool({
    name: "nvml",
    command: selfCommand("probe", "nvml"),
    setup,
    log,
    environment: { ...minimalEnvironment(), ...smallProcess },
    silenceMs: Math.min(silenceMs, deadlineMs / 3),
    maxAbandoned,
    maxProcesses: maxAbandoned + 1,
  });
  const ask = async <T>(job: string, key: string, limitMs: number, params: unknown = {}): Promise<Answer<T>> => {
    const outcome = await pool.run(job, params, { deadlineMs: limitMs });
    const pid = outcome.status === "done" ? outcome.header["pid"] : undefined;
    if (typeof pid === "number") onProcess(pid);
    return toAnswer<T>(outcome, key);
  };
  return {
    list: (contact) => ask("list", "list", contact === "first" ? listDeadlineMs : deadlineMs),
    sample: (params) => ask(sampleJob(params.pciBusId), "reading", deadlineMs, params),
    events: () => ask("events", "events", deadlineMs),
    files: () => ask("files", "files", deadlineMs),
    abandoned: () => pool.processes().abandoned,
    isHeld: (pciBusId) => pool.stuckJobs().some(({ job }) => job === sampleJob(pciBusId)),
    finish: () => pool.finish(finishGraceMs),
  };
}

function sampleJob(pciBusId: string): string {
  return `sample ${pciBusId}`;
}

function toAnswer<T>(outcome: JobOutcome, key: string): Answer<T> {
  if (outcome.status === "failed") return { status: "failed", error: outcome.error };
  if (outcome.status === "timeout" && !outcome.begun) return { status: "unasked" };
  if (outcome.status === "timeout") return { status: "stuck", step: outcome.step, wchan: undefined };
  if (outcome.status === "stuck") return { status: "stuck", step: outcome.step, wchan: outcome.wchan };
  const { fault } = outcome.header;
  // Both ends of the pipe are the same program.
  if (fault !== undefined) return { status: "fault", fault: fault as NvmlFault };
  return { status: "done", value: outcome.header[key] as T };
}

/** Whether a call that does not come back concerns all GPUs alike. */
export function isAboutLibrary(step: string): boolean {
  return step.startsWith("nvmlInit") || step === "nvmlShutdown" || step === "begin";
}

export function describeAnswer(answer: Exclude<Answer<unknown>, { status: "done" }>): string {
  if (answer.status === "fault") return describeFault(answer.fault);
  if (answer.status === "unasked") return "no process is free";
  if (answer.status === "failed") return answer.error;
  return `${answer.step} does not come back${answer.wchan === undefined ? "" : ` (waits in ${answer.wchan})`}`;
}
