import type { PortReading } from "./ports.ts";

/** What is remembered of a port, also over a restart of the daemon. Times are milliseconds of wall time. */
export interface PortHistory {
  readonly device: string;
  readonly port: string;
  readonly isUp: boolean;
  /** When the port was first seen in the state that it is in. */
  readonly sinceMs: number;
  readonly seenMs: number;
  /** Only a port that has worked since boot can drop out. */
  readonly hasBeenUp: boolean;
  /** `link_downed` when the port was first seen down. */
  readonly linkDownedAtDown: number | undefined;
  readonly isDropped: boolean;
  /** When it came back after having been down for long enough, within the window. */
  readonly flapsMs: readonly number[];
  readonly dropsTotal: number;
  readonly flapsTotal: number;
}

export interface LinkRules {
  readonly dropAfterMs: number;
  readonly flapDownMs: number;
  readonly flapWindowMs: number;
  readonly flapCount: number;
}

/** What has just happened to a port. */
export type LinkChange = "dropped" | "recovered" | "flapped";

const active = 4;
const disabled = 3;

/**
 * One more reading of a port. A drop is a port that stays down while its own counter of lost links stands still: the
 * other end, the cable or the subnet manager is gone. A flap is a port that was down for a while and came back.
 */
export function advance(
  before: PortHistory | undefined,
  reading: PortReading,
  { rules, nowMs }: { readonly rules: LinkRules; readonly nowMs: number },
): { readonly history: PortHistory; readonly change?: LinkChange } {
  const isUp = reading.state === active;
  if (before === undefined) return { history: firstSeen(reading, isUp, nowMs) };
  const flapsMs = before.flapsMs.filter((atMs) => nowMs - atMs <= rules.flapWindowMs);
  const seen = { ...before, flapsMs, seenMs: nowMs };
  // A port that cannot be read at the moment is neither up nor down.
  if (reading.state === undefined) return { history: seen };
  if (isUp && !before.isUp) return comeBack(before, { ...seen, isUp, sinceMs: nowMs, hasBeenUp: true }, rules);
  if (!isUp && before.isUp) {
    return { history: { ...seen, isUp, sinceMs: nowMs, linkDownedAtDown: reading.linkDowned } };
  }
  const isDrop = !isUp && before.hasBeenUp && !before.isDropped && nowMs - before.sinceMs >= rules.dropAfterMs;
  const hasStoodStill = reading.linkDowned === before.linkDownedAtDown && reading.physicalState !== disabled;
  if (!isDrop || !hasStoodStill) return { history: seen };
  return { history: { ...seen, isDropped: true, dropsTotal: before.dropsTotal + 1 }, change: "dropped" };
}

function firstSeen({ device, port, linkDowned }: PortReading, isUp: boolean, nowMs: number): PortHistory {
  return {
    device,
    port,
    isUp,
    sinceMs: nowMs,
    seenMs: nowMs,
    hasBeenUp: isUp,
    linkDownedAtDown: isUp ? undefined : linkDowned,
    isDropped: false,
    flapsMs: [],
    dropsTotal: 0,
    flapsTotal: 0,
  };
}

function comeBack(
  before: PortHistory,
  up: PortHistory,
  { flapDownMs }: LinkRules,
): { readonly history: PortHistory; readonly change?: LinkChange } {
  const history = { ...up, isDropped: false, linkDownedAtDown: undefined };
  // A port that comes up for the first time has not flapped, and seen down only once it may have been down for an instant.
  const wasLong = before.hasBeenUp && before.seenMs - before.sinceMs >= flapDownMs;
  if (wasLong) {
    const flapsMs = [...up.flapsMs, up.sinceMs];
    return { history: { ...history, flapsMs, flapsTotal: up.flapsTotal + 1 }, change: "flapped" };
  }
  return before.isDropped ? { history, change: "recovered" } : { history };
}

export function isFlapping({ flapsMs }: PortHistory, { flapCount, flapWindowMs }: LinkRules, nowMs: number): boolean {
  return flapsMs.filter((atMs) => nowMs - atMs <= flapWindowMs).length >= flapCount;
}
