import { passedDescriptors } from "./passed-sockets.ts";

/**
 * The JavaScript engine sizes its heap by the machine's memory and compiles hot code twice over: right for a program
 * that has the machine to itself, tens of megabytes too much for a guest that wakes up at every scrape. Measured: a
 * fifth less memory, the same CPU per scrape. These options can only be given in the environment
 * of a process that starts, so a process that lacks them starts itself again, under the same pid.
 */
const leanOptions: Readonly<Record<string, string>> = {
  BUN_JSC_useDFGJIT: "0",
  BUN_JSC_forceRAMSize: String(96 * 1024 * 1024),
};

const compiled = import.meta.path.startsWith("/$bunfs/");

/** To be called before anything else is loaded; whoever sets one of the options has decided otherwise. */
export async function ensureLeanEngine(): Promise<void> {
  const isDecided = Object.keys(leanOptions).some((name) => process.env[name] !== undefined);
  if (!compiled || isDecided || process.execve === undefined) return;
  const args = [process.argv0, ...process.argv.slice(2)];
  const environment = { ...process.env, ...leanOptions };
  const descriptors = passedDescriptors(process.env);
  if (descriptors.length === 0) return process.execve(process.execPath, args, environment as NodeJS.ProcessEnv);
  const { execKeeping } = await import("./exec.ts");
  execKeeping(descriptors, { path: process.execPath, args, environment });
}
