import type { Logger } from "../../runtime/log.ts";
import { readWaitChannel } from "./process.ts";

/** A job whose process was killed and has not been reaped: it waits in the kernel. */
export interface StuckJob {
  readonly job: string;
  readonly step: string;
  readonly sinceMs: number;
  readonly pid: number;
  readonly wchan: string | undefined;
}

interface Abandoned {
  readonly job: string;
  readonly step: string;
  readonly pid: number;
  /** performance.now() of its last sign of life. */
  readonly since: number;
}

/** The killed processes that still exist, and the jobs that may not be started again meanwhile. */
export interface Abandonment {
  add(abandoned: Abandoned): void;
  reaped(pid: number): void;
  find(job: string): Omit<StuckJob, "job"> | undefined;
  jobs(): readonly StuckJob[];
  count(): number;
  close(): void;
}

/** A killed process is normally gone within milliseconds; only one that is not is worth a line. */
const graceMs = 250;

export function createAbandonment(pool: string, log: Logger): Abandonment {
  const byPid = new Map<number, Abandoned & { logged: boolean; timer: Timer }>();

  const describe = ({ job, step, pid, since }: Abandoned): StuckJob => ({
    job,
    step,
    sinceMs: Math.round(performance.now() - since),
    pid,
    wchan: readWaitChannel(pid),
  });
  const report = (pid: number): void => {
    const abandoned = byPid.get(pid);
    if (abandoned === undefined) return;
    abandoned.logged = true;
    const { job, step, wchan } = describe(abandoned);
    log.error("probe job is stuck in the kernel, its process cannot be ended", { pool, job, step, pid, wchan });
  };
  return {
    add: (abandoned) => {
      const timer = setTimeout(report, graceMs, abandoned.pid).unref();
      byPid.set(abandoned.pid, { ...abandoned, logged: false, timer });
    },
    reaped: (pid) => {
      const abandoned = byPid.get(pid);
      if (abandoned === undefined) return;
      byPid.delete(pid);
      clearTimeout(abandoned.timer);
      if (!abandoned.logged) return;
      const stuck_seconds = Math.round(performance.now() - abandoned.since) / 1000;
      log.info("stuck probe job has come back", { pool, job: abandoned.job, pid, stuck_seconds });
    },
    find: (job) => {
      if (byPid.size === 0) return undefined;
      const abandoned = [...byPid.values()].find((candidate) => candidate.job === job);
      if (abandoned === undefined) return undefined;
      const { step, sinceMs, pid, wchan } = describe(abandoned);
      return { step, sinceMs, pid, wchan };
    },
    jobs: () => [...byPid.values()].filter(({ job }) => job !== "").map(describe),
    count: () => byPid.size,
    close: () => {
      for (const { timer } of byPid.values()) clearTimeout(timer);
    },
  };
}
