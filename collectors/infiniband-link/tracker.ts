import type { PortReading } from "./ports.ts";

/** What is remembered of a port, also over a restart of the daemon. Times are milliseconds of wall time. */
export interface PortHistory {
  readonly device: string;
  readonly port: string;
  readonly isUp: boolean;
  /** When the port was first seen in the state that it is in. */
  readonly sinceMs: number;
  readonly seenMs: number;
  /** The last look told the state; otherwise nothing is known of it now. */
  readonly isRead: boolean;
  /** Only a port that has worked once is missed when it does not. */
  readonly hasBeenUp: boolean;
  /** `link_downed` when the port was last seen up. */
  readonly linkDownedAtUp: number | undefined;
  /** The same when it was first seen down. */
  readonly linkDownedAtDown: number | undefined;
  readonly isDropped: boolean;
  /** When it came back after having lost its link, within the window. */
  readonly flapsMs: readonly number[];
  /** The kernel does not show it any more. */
  readonly goneSinceMs?: number;
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
/** So many losses of the link between two looks are told apart. */
const mostCounted = 50;

/**
 * One more reading of a port. A drop is a port that stays down while its own counter of lost links stands still. A flap
 * is a port that has lost its link and is up: it was seen down for a while, or has counted a loss between two looks.
 */
export function advance(
  before: PortHistory | undefined,
  reading: PortReading,
  { rules, nowMs }: { readonly rules: LinkRules; readonly nowMs: number },
): { readonly history: PortHistory; readonly change?: LinkChange } {
  const isUp = reading.state === active;
  if (before === undefined) return { history: firstSeen(reading, isUp, nowMs) };
  const flapsMs = before.flapsMs.filter((atMs) => nowMs - atMs <= rules.flapWindowMs);
  const { goneSinceMs: _gone, ...known } = before;
  // A port that cannot be read at the moment is neither up nor down.
  if (reading.state === undefined) return { history: { ...known, flapsMs, isRead: false } };
  const seen = { ...known, flapsMs, seenMs: nowMs, isRead: true };
  if (isUp) return stayOrComeUp(before, seen, { reading, rules, nowMs });
  const { linkDowned } = reading;
  if (before.isUp) return { history: { ...seen, isUp, sinceMs: nowMs, linkDownedAtDown: linkDowned } };
  if (before.linkDownedAtDown === undefined) return { history: { ...seen, linkDownedAtDown: linkDowned } };
  const isDrop = before.hasBeenUp && !before.isDropped && nowMs - before.sinceMs >= rules.dropAfterMs;
  const hasStoodStill = linkDowned === before.linkDownedAtDown && reading.physicalState !== disabled;
  if (!isDrop || !hasStoodStill) return { history: seen };
  return { history: { ...seen, isDropped: true, dropsTotal: before.dropsTotal + 1 }, change: "dropped" };
}

function firstSeen({ device, port, state, linkDowned }: PortReading, isUp: boolean, nowMs: number): PortHistory {
  return {
    device,
    port,
    isUp,
    sinceMs: nowMs,
    seenMs: nowMs,
    isRead: state !== undefined,
    hasBeenUp: isUp,
    linkDownedAtUp: isUp ? linkDowned : undefined,
    linkDownedAtDown: isUp ? undefined : linkDowned,
    isDropped: false,
    flapsMs: [],
    dropsTotal: 0,
    flapsTotal: 0,
  };
}

function stayOrComeUp(
  before: PortHistory,
  seen: PortHistory,
  { reading, rules, nowMs }: { readonly reading: PortReading; readonly rules: LinkRules; readonly nowMs: number },
): { readonly history: PortHistory; readonly change?: LinkChange } {
  const { linkDowned: linkDownedAtUp } = reading;
  const sinceMs = before.isUp ? before.sinceMs : nowMs;
  const settled = {
    isUp: true,
    hasBeenUp: true,
    isDropped: false,
    sinceMs,
    linkDownedAtUp,
    linkDownedAtDown: undefined,
  };
  const history = { ...seen, ...settled };
  // The counter starts anew with the driver.
  const counted = Math.max(0, (linkDownedAtUp ?? 0) - (before.linkDownedAtUp ?? linkDownedAtUp ?? 0));
  // A port that comes up for the first time has not flapped, and seen down only once it may have been down for an instant.
  const wasLong = !before.isUp && before.hasBeenUp && before.seenMs - before.sinceMs >= rules.flapDownMs;
  const losses = Math.min(mostCounted, Math.max(counted, Number(wasLong)));
  if (losses > 0) {
    const flapsMs = [...seen.flapsMs, ...Array.from({ length: losses }, () => nowMs)].slice(-mostCounted);
    return { history: { ...history, flapsMs, flapsTotal: seen.flapsTotal + losses }, change: "flapped" };
  }
  return before.isDropped ? { history, change: "recovered" } : { history };
}

/** The kernel does not show the port any more. */
export function vanish(before: PortHistory, nowMs: number): PortHistory {
  return { ...before, isUp: false, isRead: false, isDropped: false, sinceMs: nowMs, goneSinceMs: nowMs };
}

/** After a reboot counters begin anew; that the port has worked, or is gone, is still so. */
export function overReboot(before: PortHistory, nowMs: number): PortHistory {
  return {
    ...before,
    isUp: false,
    isRead: false,
    isDropped: false,
    sinceMs: nowMs,
    seenMs: nowMs,
    linkDownedAtUp: undefined,
    linkDownedAtDown: undefined,
    flapsMs: [],
    dropsTotal: 0,
    flapsTotal: 0,
  };
}

export function isFlapping({ flapsMs }: PortHistory, { flapCount, flapWindowMs }: LinkRules, nowMs: number): boolean {
  return flapsMs.filter((atMs) => nowMs - atMs <= flapWindowMs).length >= flapCount;
}
