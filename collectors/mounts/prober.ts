import type { Logger } from "../../runtime/log.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { createExpectations, type ExpectedMount } from "./expected.ts";
import { createJournal, type Journal } from "./journal.ts";
import type { MountProbes, StuckProcess } from "./probe-client.ts";
import { afterReading, afterTimeout, type Instant, type MountState, whileStuck } from "./state.ts";
import type { MountStatus, MountsStatus } from "./status.ts";
import { isReadOnly, type Mount } from "./table.ts";
import { createWatchedMounts, type WatchedMount } from "./watched.ts";
import { createWriteTester, type WriteTestSettings } from "./write-tester.ts";

export interface ProberSettings {
  readonly sysPath: string;
  readonly probeIntervalSeconds: number;
  readonly deadlineSeconds: number;
  readonly maxStuckProbes: number;
  /** Whether a mount, by the host's name for it and its type, is watched. */
  readonly isWatched: (mountPoint: string, fstype: string) => boolean;
  readonly expected: readonly ExpectedMount[];
  readonly writeTests: WriteTestSettings;
}

export interface ProberDependencies {
  readonly settings: ProberSettings;
  readonly probes: MountProbes;
  readonly readTable: () => readonly Mount[];
  /** The host's name for a mount point of the table. */
  readonly toHostPath: (mountPoint: string) => string;
  /** Where this process reaches a path of the host. */
  readonly toLocalPath: (hostPath: string) => string;
  /** The event of the kernel log that speaks against writing to a mount, if any. */
  readonly kernelTrouble: (mount: Mount) => string | undefined;
  readonly isSameDevice: (source: string, mount: Mount) => boolean;
  readonly log: Logger;
  readonly now: () => Instant;
  readonly random: () => number;
}

export interface MountProber {
  /** Takes over the kernel's mount table; what is new is probed at once. */
  refresh(): void;
  /** Starts what is due; to be called about every second. */
  tick(): void;
  status(): MountsStatus;
  /** Resolves once every mount of the first table has been answered for or given up. */
  readonly firstRound: Promise<void>;
  /** Mounts that have been answered for so far. */
  answered(): number;
}

/** A mount that was unhealthy is looked at again this soon after a good answer. */
const confirmAfterMs = 1000;
/** Older than this many intervals, a reading is no longer published. */
const staleAfterIntervals = 2.5;

/**
 * Watches all mounts and never waits for one. Each has at most one probe out there; one that can neither answer nor be
 * killed is left alone, and its mount is probed again the moment it is gone.
 */
export function createMountProber(dependencies: ProberDependencies): MountProber {
  const { settings, log, now, random, readTable, isSameDevice, toHostPath, toLocalPath } = dependencies;
  const probes = countStuckProbes(dependencies.probes);
  const journal = createJournal(log, settings.deadlineSeconds);
  const expectations = createExpectations({ expected: settings.expected, isSameDevice, toHostPath, log });
  const first = Promise.withResolvers<void>();
  const watched = createWatchedMounts({
    ...settings,
    toHostPath,
    toLocalPath,
    journal,
    now,
    createWriteTester: (mountPoint, request) =>
      settings.writeTests.mountPoints.includes(mountPoint)
        ? createWriteTester(request, { ...dependencies, probes, settings: settings.writeTests })
        : undefined,
  });
  const prober: Prober = {
    ...dependencies,
    probes,
    journal,
    mounts: watched.byKey,
    probesFail: false,
    tick: () => tick(),
  };
  let nextRoundAt = 0;
  let isFirstRound = true;

  const tick = (): void => {
    const { monotonicMs } = now();
    if (monotonicMs >= nextRoundAt) {
      // One round for all mounts needs one probe process; the jitter keeps a fleet from asking a server all at once.
      if (nextRoundAt > 0) for (const mount of watched.byKey.values()) mount.due = true;
      nextRoundAt = monotonicMs + settings.probeIntervalSeconds * 1000 * (0.9 + 0.2 * random());
    }
    const admission = admissionOf(prober);
    for (const mount of watched.byKey.values()) advance(prober, admission, mount);
    isFirstRound &&= [...watched.byKey.values()].some((mount) => !isAnswered(admission, mount));
    if (!isFirstRound) first.resolve();
  };
  return {
    firstRound: first.promise,
    answered: () => [...watched.byKey.values()].filter(({ state }) => state.health !== "unknown").length,
    tick,
    refresh: () => {
      const table = readTable();
      watched.update(table);
      expectations.update(table);
      tick();
    },
    status: () => {
      const admission = admissionOf(prober);
      return {
        mounts: [...watched.byKey.values()].map((mount) => toStatus(prober, admission, mount)),
        expected: expectations.status(),
        stuckProbes: probes.stuck(),
        changes: watched.changes,
      };
    },
  };
}

interface Prober extends ProberDependencies {
  readonly journal: Journal;
  readonly mounts: ReadonlyMap<string, WatchedMount>;
  readonly probes: CountedProbes;
  /** No probe could be started lately; said once. */
  probesFail: boolean;
  tick(): void;
}

function admissionOf({ mounts, probes, settings }: Prober): Admission {
  return createAdmission(mounts.values(), { stuckProbes: probes.stuck(), maxStuckProbes: settings.maxStuckProbes });
}

function advance(prober: Prober, admission: Admission, watched: WatchedMount): void {
  if (watched.running?.stuck) change(prober, watched, whileStuck(watched.state, watched.running.step, prober.now()));
  if (watched.due && watched.running === undefined && admission.whyHeldBack(watched) === undefined) {
    admission.started(watched);
    startProbe(prober, watched);
  }
  watched.writeTester?.tick(watched.mount, watched.state.health === "ok");
}

function startProbe(prober: Prober, watched: WatchedMount): void {
  const { probes, settings, now, log } = prober;
  watched.due = false;
  const running: NonNullable<WatchedMount["running"]> = { startedAt: now().monotonicMs, stuck: false };
  watched.running = running;
  const end = (state: MountState): void => {
    watched.running = undefined;
    change(prober, watched, state);
    prober.tick();
  };
  probes.start(watched.request, settings.deadlineSeconds, {
    reading: (reading) => {
      prober.probesFail = false;
      end(afterReading(watched.state, reading, now()));
      if (watched.state.unhealthy && watched.state.goodInARow > 0) confirmSoon(prober, watched);
    },
    killed: (step) => end(afterTimeout(watched.state, step, now())),
    stuck: (step, process) => {
      Object.assign(running, { stuck: true, ...(step === undefined ? {} : { step }) });
      change(prober, watched, whileStuck(watched.state, step, now()), process);
      prober.tick();
    },
    released: () => {
      watched.running = undefined;
      watched.due = true; // at once: whatever held it has let go
      prober.tick();
    },
    failed: (error) => {
      watched.running = undefined; // tried again in the next round; what was known grows stale by itself
      if (!prober.probesFail) log.error("mounts cannot be probed", { mountpoint: watched.mountPoint, error });
      prober.probesFail = true;
    },
  });
}

function confirmSoon(prober: Prober, watched: WatchedMount): void {
  const delayMs = Math.min(confirmAfterMs, (prober.settings.probeIntervalSeconds * 1000) / 2);
  setTimeout(() => {
    watched.due = true;
    prober.tick();
  }, delayMs).unref();
}

function change(prober: Prober, watched: WatchedMount, state: MountState, stuck?: StuckProcess): void {
  if (!watched.gone) prober.journal.changed(watched.mount, watched.state, state, stuck);
  watched.state = state;
}

function isAnswered(admission: Admission, watched: WatchedMount): boolean {
  if (watched.state.health !== "unknown") return true;
  const heldBack = watched.running === undefined ? admission.whyHeldBack(watched) : undefined;
  return heldBack !== undefined && heldBack !== "waiting for others";
}

function toStatus(prober: Prober, admission: Admission, watched: WatchedMount): MountStatus {
  const { settings, now } = prober;
  const { mount, mountPoint, state, running, writeTester } = watched;
  const { monotonicMs } = now();
  const heldBack = running === undefined ? admission.whyHeldBack(watched) : undefined;
  const ageSeconds = (monotonicMs - state.judgedAt) / 1000;
  return {
    mount,
    mountPoint,
    state,
    stuckSeconds: running?.stuck ? (monotonicMs - running.startedAt) / 1000 : 0,
    ...(heldBack === undefined ? {} : { heldBack }),
    readOnly: isReadOnly(mount),
    stale: ageSeconds > settings.probeIntervalSeconds * staleAfterIntervals + settings.deadlineSeconds,
    ...(writeTester === undefined ? {} : { write: writeTester.status() }),
  };
}

interface CountedProbes extends MountProbes {
  /** Probes in the kernel that cannot be killed; those of mounts that are gone by now are among them. */
  stuck(): number;
}

function countStuckProbes(probes: MountProbes): CountedProbes {
  let stuck = 0;
  return {
    stuck: () => stuck,
    start: (request, deadlineSeconds, events) =>
      probes.start(request, deadlineSeconds, {
        ...events,
        stuck: (step, process) => {
          stuck++;
          events.stuck(step, process);
        },
        released: () => {
          stuck--;
          events.released();
        },
      }),
  };
}
