import type { Logger } from "../runtime/log.ts";
import { toAuditEntry } from "./audit.ts";
import type { Caller, Change } from "./context.ts";
import { createRateLimit } from "./http/rate-limit.ts";
import { TooManyRequestsError } from "../protocol/errors.ts";
import type { Store } from "./store/store.ts";

/** What was refused to whom. Anybody can be refused as often as they like, so there is a limit on rows per address. */
export interface Refusals {
  record(caller: Caller, change: Change, code: string): Promise<void>;
}

const rowsPerAddress = { perSecond: 10 / 60, burst: 50 };

export function createRefusals({
  store,
  log,
  now,
}: {
  readonly store: Pick<Store, "audit">;
  readonly log: Logger;
  readonly now: () => number;
}): Refusals {
  const rows = createRateLimit(rowsPerAddress, now);
  return {
    record: async (caller, change, code) => {
      const { action, details } = change;
      try {
        rows.take(caller.address);
      } catch (error) {
        if (!(error instanceof TooManyRequestsError)) throw error;
        log.debug("refused a request", { action, address: caller.address, code, ...details });
        return;
      }
      log.warn("refused a request", { action, address: caller.address, code, ...details });
      await store.audit.append(toAuditEntry(caller, change, code, now()));
    },
  };
}
