import { createLogger } from "./log.ts";
import { passedDescriptors } from "./passed-sockets.ts";

/** Of the garbage collector: no threads of its own, and none of its timers for the little that an idle process leaves. */
const quietCollector: Readonly<Record<string, string>> = {
  BUN_GC_TIMER_DISABLE: "1",
  BUN_JSC_forceRAMSize: String(96 * 1024 * 1024),
  BUN_JSC_numberOfGCMarkers: "1",
  BUN_JSC_percentCPUPerMBForEdenTimer: "0.00025",
  BUN_JSC_percentCPUPerMBForFullTimer: "0.00003",
  BUN_JSC_useConcurrentGC: "0",
  // Memory that could be handed back is looked for once a minute, not after each piece of work.
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "60000",
};

/**
 * The JavaScript engine sizes its heap by the machine's memory and compiles hot code several times over: right for a
 * program that has the machine to itself, tens of megabytes and a good deal of CPU too much for a guest that wakes up at
 * every scrape. Measured (docs/benchmarks.md): what the daemon itself does for a page is so little that compiling it
 * costs more than it saves. These options can only be given in the environment of a process that starts, so a process
 * that lacks them starts itself again, under the same pid.
 */
export const smallEngine: Readonly<Record<string, string>> = {
  ...quietCollector,
  // Not useJIT=0: bun:ffi would refuse, and with it go sd_notify(3), socket activation and the sandbox of checks.
  BUN_JSC_useBaselineJIT: "0",
  BUN_JSC_useDFGJIT: "0",
};

/** For the collector process: it parses and encodes, so its code is compiled, but not a third time. */
export const collectorEngine: Readonly<Record<string, string>> = { ...quietCollector, BUN_JSC_useFTLJIT: "0" };

const compiled = import.meta.path.startsWith("/$bunfs/");

/** To be called before anything else is loaded; whoever sets one of the options has decided otherwise. */
export async function ensureLeanEngine(): Promise<void> {
  const isDecided = Object.keys(smallEngine).some((name) => process.env[name] !== undefined);
  if (!compiled || isDecided || process.execve === undefined) return;
  const args = [process.argv0, ...process.argv.slice(2)];
  const environment = { ...process.env, ...smallEngine };
  const descriptors = passedDescriptors(process.env);
  try {
    if (descriptors.length === 0) return process.execve(process.execPath, args, environment as NodeJS.ProcessEnv);
    const { execKeeping } = await import("./exec.ts");
    execKeeping(descriptors, { path: process.execPath, args, environment });
  } catch (error) {
    createLogger().warn("cannot start again with a smaller engine, going on with more memory", { error });
  }
}
