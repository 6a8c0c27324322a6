import type { Host } from "./host.ts";

export interface HostPaths {
  readonly procPath: string;
  readonly sysPath: string;
  readonly rootPath: string;
  readonly udevDataPath: string;
}

const outputLimitBytes = 8 * 1024 * 1024;

/** The real machine. `onSkipped` hears of every reading that was left out. */
export function createSystemHost(paths: HostPaths, onSkipped: Host["skipped"]): Host {
  return { ...paths, run: runProgram, skipped: onSkipped };
}

async function runProgram(argv: readonly string[], signal: AbortSignal): Promise<string> {
  const child = Bun.spawn([...argv], {
    cwd: "/",
    env: { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    maxBuffer: outputLimitBytes,
    signal,
    killSignal: "SIGKILL",
  });
  const [output, complaint, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exitCode === 0) return output;
  const end = child.signalCode === null ? `exit code ${exitCode}` : `signal ${child.signalCode}`;
  throw new Error(`${argv[0]} ended with ${end}: ${complaint.trim().slice(0, 500)}`);
}
