import type { ProbeReading, ProbeStep, SpaceReading } from "./probe.ts";

/**
 * unknown: not probed yet. denied: the server answered that we may not look (another user's FUSE mount), which proves
 * nothing either way. slow: over the deadline, but the probe process ended when killed. stuck: it did not.
 */
export type MountHealth = "unknown" | "ok" | "denied" | "slow" | "stuck" | "failed";

/** What is remembered of one mount between probes. Times are milliseconds of a monotonic clock unless they say otherwise. */
export interface MountState {
  readonly health: MountHealth;
  /** When `health` became what it is. */
  readonly since: number;
  /** Where the last probe ended, unless it went through. */
  readonly step?: ProbeStep;
  readonly errno?: string;
  /** When a probe last ended, well or badly; what is known is as old as this. */
  readonly judgedAt: number;
  /** What statfs last said. */
  readonly space?: SpaceReading;
  readonly lastSuccessEpochSeconds?: number;
  readonly lastDurationSeconds?: number;
  readonly ext4Errors?: number;
  /** With hysteresis: what someone should be called for. */
  readonly unhealthy: boolean;
  readonly timeoutsInARow: number;
  readonly goodInARow: number;
}

export interface Instant {
  readonly monotonicMs: number;
  readonly epochMs: number;
}

const timeoutsUntilUnhealthy = 2;
const goodUntilHealthy = 2;
const stuckMsUntilUnhealthy = 30_000;

export function initialState(now: Instant): MountState {
  const { monotonicMs } = now;
  return {
    health: "unknown",
    since: monotonicMs,
    judgedAt: monotonicMs,
    unhealthy: false,
    timeoutsInARow: 0,
    goodInARow: 0,
  };
}

/** A probe came to an end in time, well or badly. */
export function afterReading(state: MountState, reading: ProbeReading, now: Instant): MountState {
  const { failure, space, ext4Errors, durationSeconds } = reading;
  const health = judge(reading);
  const good = health === "ok" || health === "denied";
  const goodInARow = good ? state.goodInARow + 1 : 0;
  return {
    ...enter(state, health, now),
    ...(failure === undefined ? {} : failure),
    ...(space === undefined ? {} : { space }),
    ...(ext4Errors === undefined ? {} : { ext4Errors }),
    ...(health === "ok" ? { lastSuccessEpochSeconds: now.epochMs / 1000 } : {}),
    lastDurationSeconds: durationSeconds,
    unhealthy: !good || (state.unhealthy && goodInARow < goodUntilHealthy),
    timeoutsInARow: 0,
    goodInARow,
  };
}

// Permission denied past statfs (a root-squashed folder) is an answer of a server that is alive.
function judge({ failure }: ProbeReading): MountHealth {
  if (failure === undefined) return "ok";
  if (failure.errno !== "EACCES" && failure.errno !== "EPERM") return "failed";
  return failure.step === "statfs" ? "denied" : "ok";
}

/** A probe was killed at its deadline and is gone. */
export function afterTimeout(state: MountState, step: ProbeStep | undefined, now: Instant): MountState {
  const timeoutsInARow = state.timeoutsInARow + 1;
  return {
    ...enter(state, "slow", now),
    ...(step === undefined ? {} : { step }),
    unhealthy: state.unhealthy || timeoutsInARow >= timeoutsUntilUnhealthy,
    timeoutsInARow,
    goodInARow: 0,
  };
}

/** A probe did not even end when killed; time alone makes the mount unhealthy then. */
export function whileStuck(state: MountState, step: ProbeStep | undefined, now: Instant): MountState {
  const stuck = { ...enter(state, "stuck", now), ...(step === undefined ? {} : { step }), goodInARow: 0 };
  const longEnough = now.monotonicMs - stuck.since >= stuckMsUntilUnhealthy;
  return { ...stuck, unhealthy: state.unhealthy || longEnough };
}

function enter(state: MountState, health: MountHealth, now: Instant): MountState {
  const { step: _step, errno: _errno, ...kept } = state;
  const { monotonicMs } = now;
  return { ...kept, health, judgedAt: monotonicMs, since: state.health === health ? state.since : monotonicMs };
}
