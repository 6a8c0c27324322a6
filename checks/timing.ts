import { Cron } from "croner";
import { createHash } from "node:crypto";
import type { CheckDefinition, CheckSchedule } from "./check.ts";
import type { Clock } from "./clock.ts";

/** Spreads the first runs after an activation, so that a new bundle does not start everything in one instant. */
const activationSpreadSeconds = 5;
const cronSpreadSeconds = 30;

/** When a check runs. All times are on the monotonic clock. */
export interface Timing {
  readonly firstDue: number;
  /** The next due time after a run that was due at `due`; missed ones are left out, never made up for. */
  next(due: number): number;
  /** For times that come from the wall clock: the due time again, since that clock may have been set meanwhile. */
  refresh?(): number;
  /** Typical time between two runs. */
  readonly periodSeconds: number;
}

/** Between 0 and 1, the same for a node and a check at every start, different between nodes. */
export function jitterOf(nodeId: string, check: string): number {
  return createHash("sha256").update(`${nodeId}\n${check}`).digest().readUInt32BE(0) / 2 ** 32;
}

/** Undefined when the pattern is good and has a next time, otherwise what is wrong with it. */
export function scheduleProblem(schedule: CheckSchedule): string | undefined {
  if ("intervalSeconds" in schedule) return undefined;
  try {
    return new Cron(schedule.cron).nextRun() === null ? `the schedule ${schedule.cron} is never due` : undefined;
  } catch (error) {
    return `cannot read the schedule ${schedule.cron}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export function createTiming({ schedule }: CheckDefinition, jitter: number, clock: Clock): Timing {
  return "cron" in schedule
    ? cronTiming(new Cron(schedule.cron), jitter, clock)
    : intervalTiming(schedule.intervalSeconds, jitter, clock);
}

function intervalTiming(interval: number, jitter: number, clock: Clock): Timing {
  const firstDue = clock.monotonicSeconds() + jitter * Math.min(interval / 2, activationSpreadSeconds);
  return {
    firstDue,
    periodSeconds: interval,
    next: (due) => {
      // The second run comes early by a share of its own on every node, so a fleet that got one bundle at the same
      // moment does not query its shared storage at the same moment ever after.
      const next = due + (due === firstDue ? interval * (0.5 + jitter / 2) : interval);
      const now = clock.monotonicSeconds();
      return next > now ? next : next + Math.ceil((now - next) / interval) * interval;
    },
  };
}

/** Cron patterns keep to their times; there is no extra run at activation. */
function cronTiming(cron: Cron, jitter: number, clock: Clock): Timing {
  const [first, second] = cron.nextRuns(2, clock.now());
  const periodSeconds =
    first !== undefined && second !== undefined ? (second.getTime() - first.getTime()) / 1000 : 86400;
  const delay = jitter * Math.min(cronSpreadSeconds, periodSeconds / 10);
  const next = (): number => {
    const now = clock.now().getTime();
    // A match counts until it has been run with its delay. The half second keeps a timer that fires a little early
    // from finding the match it has just served.
    const match = cron.nextRun(new Date(now - delay * 1000 + 500));
    const wait = match === null ? Number.POSITIVE_INFINITY : (match.getTime() - now) / 1000 + delay;
    return clock.monotonicSeconds() + wait;
  };
  return { firstDue: next(), periodSeconds, next, refresh: next };
}
