import type { ExpectationLevel } from "./expected.ts";
import type { MountState } from "./state.ts";
import type { Mount } from "./table.ts";
import type { MountChange } from "./watched.ts";

/** What the prober knows of one mount at a moment. */
export interface MountStatus {
  readonly mount: Mount;
  /** Without the container's root. */
  readonly mountPoint: string;
  readonly state: MountState;
  /** Of a probe that outlived its kill: for how long, counted from its start. */
  readonly stuckSeconds: number;
  /** Why it is not probed just now, if so. */
  readonly heldBack?: HeldBack;
  readonly readOnly: boolean;
  /** No probe has come to an end for some intervals: nothing is known of the mount now. */
  readonly stale: boolean;
  readonly write?: WriteStatus;
}

export type HeldBack = "expiring automount" | "waiting for others" | "group is stuck" | "too many stuck probes";

/** The write test, where one is configured; `stuckSeconds` of a minute and more is a frozen filesystem. */
export interface WriteStatus {
  readonly success?: boolean;
  readonly errno?: string;
  readonly durationSeconds?: number;
  readonly lastSuccessEpochSeconds?: number;
  readonly stuckSeconds: number;
  /** The event of the kernel log after which nothing is written any more. */
  readonly stoppedBy?: string;
}

export interface ExpectedStatus {
  readonly mountPoint: string;
  readonly level: ExpectationLevel;
  readonly present: boolean;
  /** Where it is there and the policy says how it has to be mounted: whether it is mounted otherwise. */
  readonly readOnlyMismatch?: boolean;
}

export interface MountsStatus {
  readonly mounts: readonly MountStatus[];
  readonly expected: readonly ExpectedStatus[];
  /** Probe processes that could not be killed, those of mounts that are gone included. */
  readonly stuckProbes: number;
  /** Since the start, by what happened. */
  readonly changes: ReadonlyMap<MountChange, number>;
}
