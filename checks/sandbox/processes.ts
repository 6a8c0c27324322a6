import { closeSync } from "node:fs";
import { readTextIfPresent } from "../../collectors/read.ts";
import type { CgroupLeaf } from "./cgroup.ts";
import { hasEnded, openPidfd, signalPidfd } from "./libc.ts";

/**
 * Every process of one run. The script's pid namespace ends with its pid 1, which is named by a pidfd, as its number
 * could be given to another process; with a cgroup leaf the kernel also says when nothing is left.
 */
export interface RunProcesses {
  /** Called when bubblewrap reports its pid 1 of the sandbox. */
  adoptPidOne(pid: number): void;
  kill(): void;
  /** False while a process survives SIGKILL: it waits in the kernel for a device or server (state D). */
  isEmpty(): boolean;
  close(): void;
}

const SIGKILL = 9;

export function createRunProcesses(
  outer: Pick<Bun.Subprocess, "pid" | "kill" | "exitCode" | "signalCode">,
  leaf: CgroupLeaf | undefined,
): RunProcesses {
  let pidOne: number | undefined;
  let closed = false;
  const outerGone = () => outer.exitCode !== null || outer.signalCode !== null;
  return {
    adoptPidOne: (pid) => {
      if (pidOne !== undefined || closed) return;
      const pidfd = openPidfd(pid);
      if (pidfd === undefined) return;
      // The line may be read late; by then the number can be somebody else's.
      if (readParent(pid) === outer.pid) pidOne = pidfd;
      else closeSync(pidfd);
    },
    kill: () => {
      if (pidOne !== undefined) signalPidfd(pidOne, SIGKILL);
      outer.kill(SIGKILL);
      leaf?.kill();
    },
    // A pid namespace's first process ends only after all others in it have.
    isEmpty: () => outerGone() && (pidOne === undefined || hasEnded(pidOne)) && (leaf === undefined || leaf.isEmpty()),
    close: () => {
      if (closed) return;
      closed = true;
      if (pidOne !== undefined) closeSync(pidOne);
      leaf?.remove();
    },
  };
}

/** Undefined when there is no such process. */
function readParent(pid: number): number | undefined {
  return readStat(pid)?.[1];
}

/** When a process began, in ticks since boot: with its number it names one process for as long as the machine is up. */
export function readStartTime(pid: number): number | undefined {
  return readStat(pid)?.[19];
}

/** From field 3 of proc_pid_stat(5) on; the second one, the name, may contain anything, so count from its end. */
function readStat(pid: number): number[] | undefined {
  const text = readTextIfPresent(`/proc/${pid}/stat`);
  return text
    ?.slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
}
