import type { Logger } from "../runtime/log.ts";
import type { Auth, Principal } from "./auth.ts";
import type { Bundles } from "./bundles.ts";
import type { RateLimit } from "./http/rate-limit.ts";
import type { ServerIdentity } from "./identity.ts";
import type { Liveness } from "./liveness.ts";
import type { Nodes } from "./nodes.ts";
import type { Polls } from "./polls.ts";
import type { Refusals } from "./refusals.ts";
import type { Registration } from "./registration.ts";
import type { Revisions } from "./revisions.ts";
import type { Store, Tables } from "./store/store.ts";

/** What a request is made by; filled in before any handler runs. */
export interface Caller {
  readonly principal: Principal;
  readonly address: string;
}

export interface Change {
  /** For example `group.create`. */
  readonly action: string;
  readonly resourceId?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Everything that routes may use. */
export interface Services {
  readonly store: Store;
  readonly identity: ServerIdentity;
  readonly auth: Auth;
  readonly bundles: Bundles;
  readonly polls: Polls;
  readonly nodes: Nodes;
  readonly liveness: Liveness;
  readonly revisions: Revisions;
  readonly registration: Registration;
  readonly registrationLimit: { readonly attempts: RateLimit; readonly failures: RateLimit };
  readonly refusals: Refusals;
  readonly log: Logger;
  readonly now: () => number;
  readonly startedAtMs: number;
  /** Who sent this request. */
  callerOf(request: Request): Caller;
  /** Runs a change, its audit row and the new revision in one transaction, then wakes the waiting nodes. */
  change<T>(request: Request, change: Change, work: (tx: Tables) => Promise<T>): Promise<T>;
}
