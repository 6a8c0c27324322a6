import { isRemote } from "./select.ts";
import type { HeldBack } from "./status.ts";
import type { WatchedMount } from "./watched.ts";

/** Says which mounts may be probed now, so that a dead server costs few processes. */
export interface Admission {
  whyHeldBack(watched: WatchedMount): HeldBack | undefined;
  /** To be told of each probe that is started after `createAdmission`. */
  started(watched: WatchedMount): void;
}

interface Tally {
  running: number;
  stuck: number;
}

/** Probes of remote mounts on their way at once: a sick server must not use up the processes for the others. */
const maxRemoteRunning = 4;

/**
 * Mounts of one server or superblock are asked one at a time. While one of them is stuck, one more is let out at most;
 * of remote mounts only so many in all, as every stuck process counts in the load average.
 */
export function createAdmission(
  mounts: Iterable<WatchedMount>,
  limits: { readonly stuckProbes: number; readonly maxStuckProbes: number },
): Admission {
  const groups = new Map<string, Tally>();
  let remoteRunning = 0;
  const tallyOf = (group: string): Tally => {
    const tally = groups.get(group) ?? { running: 0, stuck: 0 };
    groups.set(group, tally);
    return tally;
  };
  const started = ({ group, mount }: WatchedMount): void => {
    tallyOf(group).running++;
    remoteRunning += Number(isRemote(mount.fstype));
  };
  for (const watched of mounts) {
    if (watched.running?.stuck) tallyOf(watched.group).stuck++;
    else if (watched.running !== undefined) started(watched);
  }
  return {
    started,
    whyHeldBack: ({ automount, group, mount }) => {
      if (automount === "expiring") return "expiring automount";
      const { running, stuck } = tallyOf(group);
      if (stuck > 1) return "group is stuck";
      if (running > 0) return "waiting for others";
      if (!isRemote(mount.fstype)) return undefined;
      if (limits.stuckProbes >= limits.maxStuckProbes) return "too many stuck probes";
      return remoteRunning >= maxRemoteRunning ? "waiting for others" : undefined;
    },
  };
}
