import { join } from "node:path";
import type { Logger } from "../../runtime/log.ts";
import { nameOf } from "./journal.ts";
import type { MountProbes } from "./probe-client.ts";
import type { ProbeRequest } from "./probe.ts";
import type { Instant } from "./state.ts";
import type { WriteStatus } from "./status.ts";
import { isReadOnly, type Mount } from "./table.ts";

export interface WriteTestSettings {
  /** As the host names them; empty switches write tests off. */
  readonly mountPoints: readonly string[];
  readonly intervalSeconds: number;
  readonly deadlineSeconds: number;
  /** Below the mount point. */
  readonly directory: string;
  readonly nodeName: string;
  readonly uid?: number;
}

export interface WriteTester {
  /** Starts a test when it is time and nothing speaks against it. */
  tick(mount: Mount, mountIsFine: boolean): void;
  status(): WriteStatus;
}

export interface WriteTesterDependencies {
  readonly settings: WriteTestSettings;
  readonly probes: MountProbes;
  /** The event of the kernel log that speaks against writing, if any. */
  readonly kernelTrouble: (mount: Mount) => string | undefined;
  readonly log: Logger;
  readonly now: () => Instant;
  readonly random: () => number;
}

/** The kernel log is asked this often. */
const troubleIntervalMs = 10_000;
/** A freeze for a snapshot or a backup is over sooner than this. */
export const frozenSeconds = 60;

export function createWriteTester(request: ProbeRequest, dependencies: WriteTesterDependencies): WriteTester {
  const { settings, probes, kernelTrouble, log, now, random } = dependencies;
  const write = {
    directory: join(request.path, settings.directory),
    nodeName: settings.nodeName,
    ...(settings.uid === undefined ? {} : { uid: settings.uid }),
  };
  // A fleet that was started at once must not write at once.
  const jittered = (): number => settings.intervalSeconds * 1000 * (0.8 + 0.4 * random());
  let dueAt = now().monotonicMs + jittered() * random();
  let isSuspended = false;
  let running: { readonly startedAt: number; stuck: boolean; reported: boolean } | undefined;
  let last: Omit<WriteStatus, "stuckSeconds"> = {};
  let trouble: { readonly askedAt: number; readonly event: string | undefined } | undefined;

  const start = (mount: Mount): void => {
    running = { startedAt: now().monotonicMs, stuck: false, reported: false };
    const end = (result: Omit<WriteStatus, "stuckSeconds">): void => {
      running = undefined;
      const { lastSuccessEpochSeconds } = last;
      const before = last.errno;
      last = { ...(lastSuccessEpochSeconds === undefined ? {} : { lastSuccessEpochSeconds }), ...result };
      if (result.success === false && result.errno !== before) {
        log.warn("mount does not accept writes", { ...nameOf(mount), errno: result.errno });
      }
    };
    probes.start({ ...request, write }, settings.deadlineSeconds, {
      reading: ({ failure, wrote, durationSeconds }) => {
        if (failure?.step === "write") end({ success: false, errno: failure.errno, durationSeconds });
        else if (wrote) end({ success: true, durationSeconds, lastSuccessEpochSeconds: now().epochMs / 1000 });
        else running = undefined; // no room, or an earlier step failed, which the read probe reports
      },
      killed: (step) => (step === "write" ? end({ success: false, errno: "ETIMEDOUT" }) : (running = undefined)),
      stuck: () => {
        if (running !== undefined) running.stuck = true;
      },
      released: () => end({ success: false, errno: "ETIMEDOUT" }),
      failed: (error) => {
        log.warn("write test could not be started", { ...nameOf(mount), error });
        running = undefined;
      },
    });
  };

  const stoppedBy = (mount: Mount): string | undefined => {
    const { monotonicMs } = now();
    if (trouble !== undefined && monotonicMs - trouble.askedAt < troubleIntervalMs) return trouble.event;
    const before = trouble?.event;
    const event = kernelTrouble(mount);
    trouble = { askedAt: monotonicMs, event };
    if (event === before) return event;
    if (event !== undefined) log.warn("write tests stop after trouble in the kernel log", { ...nameOf(mount), event });
    else log.info("write tests go on", nameOf(mount));
    return event;
  };

  const stuckSeconds = (): number => (running?.stuck ? (now().monotonicMs - running.startedAt) / 1000 : 0);
  return {
    tick: (mount, mountIsFine) => {
      if (running?.stuck && !running.reported && stuckSeconds() >= frozenSeconds) {
        running.reported = true;
        log.warn("filesystem is frozen, a write does not come back", nameOf(mount));
      }
      isSuspended = stoppedBy(mount) !== undefined || !mountIsFine || isReadOnly(mount);
      if (isSuspended || running !== undefined || now().monotonicMs < dueAt) return;
      dueAt = now().monotonicMs + jittered();
      start(mount);
    },
    status: () => {
      const event = trouble?.event;
      const stopped = event === undefined ? {} : { stoppedBy: event };
      const { lastSuccessEpochSeconds } = last;
      const known = lastSuccessEpochSeconds === undefined ? {} : { lastSuccessEpochSeconds };
      if (running?.stuck) return { ...known, ...stopped, success: false, stuckSeconds: stuckSeconds() };
      // What the last test found is no longer looked after.
      if (isSuspended) return { ...known, ...stopped, stuckSeconds: 0 };
      return { ...last, stuckSeconds: 0 };
    },
  };
}
