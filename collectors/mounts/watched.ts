import type { Journal } from "./journal.ts";
import type { ProbeRequest, ProbeStep } from "./probe.ts";
import { type Automount, automountOf, groupOf } from "./select.ts";
import { type Instant, initialState, type MountState } from "./state.ts";
import { isReadOnly, type Mount, topMounts } from "./table.ts";
import type { WriteTester } from "./write-tester.ts";

/** A mount that is watched, for as long as the kernel lists it under the same id. */
export interface WatchedMount {
  mount: Mount;
  /** As the host names it. */
  readonly mountPoint: string;
  readonly request: ProbeRequest;
  readonly writeTester: WriteTester | undefined;
  /** Mounts that fail together, see groupOf. */
  readonly group: string;
  automount: Automount;
  state: MountState;
  /** Waiting for its next probe. */
  due: boolean;
  /** The probe that is out there, if any: there is never a second one. */
  running: RunningProbe | undefined;
  /** The kernel no longer lists it. */
  gone: boolean;
}

export interface RunningProbe {
  readonly startedAt: number;
  stuck: boolean;
  step?: ProbeStep;
}

export interface WatchedMounts {
  readonly byKey: ReadonlyMap<string, WatchedMount>;
  /** Since the start, by what happened. */
  readonly changes: ReadonlyMap<MountChange, number>;
  /** Takes over a new table; what is new is due at once. */
  update(table: readonly Mount[]): void;
}

export type MountChange = "mounted" | "unmounted" | "read_only" | "writable";

export interface WatchedMountsOptions {
  readonly sysPath: string;
  readonly isWatched: (mountPoint: string, fstype: string) => boolean;
  readonly toHostPath: (mountPoint: string) => string;
  readonly toLocalPath: (hostPath: string) => string;
  readonly createWriteTester: (mountPoint: string, request: ProbeRequest) => WriteTester | undefined;
  readonly journal: Journal;
  readonly now: () => Instant;
}

export function createWatchedMounts(options: WatchedMountsOptions): WatchedMounts {
  const { isWatched, toHostPath, journal } = options;
  const byKey = new Map<string, WatchedMount>();
  const changes = new Map<MountChange, number>();
  const count = (change: MountChange): void => void changes.set(change, (changes.get(change) ?? 0) + 1);
  let isFirstTable = true;

  return {
    byKey,
    changes,
    update: (table) => {
      const byId = new Map(table.map((mount) => [mount.id, mount]));
      const listed = new Set<string>();
      for (const mount of topMounts(table)) {
        const mountPoint = toHostPath(mount.mountPoint);
        if (mount.fstype === "autofs" || !isWatched(mountPoint, mount.fstype)) continue;
        const key = `${mount.id} ${mount.device}`;
        listed.add(key);
        const known = byKey.get(key);
        if (known !== undefined) {
          if (isReadOnly(mount) !== isReadOnly(known.mount)) {
            count(isReadOnly(mount) ? "read_only" : "writable");
            journal.readOnlyChanged(mount, isReadOnly(mount));
          }
          known.mount = mount;
          continue;
        }
        byKey.set(key, watch(mount, mountPoint, automountOf(mount, byId), options));
        if (isFirstTable) continue;
        count("mounted");
        journal.mounted(mount);
      }
      for (const [key, watched] of byKey) {
        if (listed.has(key)) continue;
        watched.gone = true;
        byKey.delete(key);
        count("unmounted");
        journal.unmounted(watched.mount);
      }
      isFirstTable = false;
    },
  };
}

function watch(mount: Mount, mountPoint: string, automount: Automount, options: WatchedMountsOptions): WatchedMount {
  const { id, device, fstype } = mount;
  const request = { id, path: options.toLocalPath(mountPoint), device, fstype, sysPath: options.sysPath };
  return {
    mount,
    mountPoint,
    request,
    writeTester: options.createWriteTester(mountPoint, request),
    group: groupOf(mount),
    automount,
    state: initialState(options.now()),
    due: true,
    running: undefined,
    gone: false,
  };
}
