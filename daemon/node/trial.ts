import type { NodeContext } from "./context.ts";

/** So long after its installation a bundle is not to blame any more for a crash of the daemon. */
const trialMs = 60_000;
const crashesTolerated = 1;

/** Counts this start; true when the daemon did not live through the trial of its bundle twice. */
export function hasCrashed({ store, log }: NodeContext): boolean {
  try {
    return store.state.countTrialStart() > crashesTolerated;
  } catch (error) {
    log.warn("cannot count the start", { error }); // a full disk: better the newest bundle than none
    return false;
  }
}

/** A bundle that was rolled back stays so: only a newer one ends that. */
export function endTrial({ store, memory, log }: NodeContext): void {
  if (memory.state === "rolled_back") return;
  try {
    store.state.endTrial();
  } catch (error) {
    log.warn("cannot note that the bundle proved itself", { error });
  }
}

export async function endTrialLater(context: NodeContext, signal: AbortSignal): Promise<void> {
  await context.sleep(trialMs, signal);
  if (!signal.aborted) endTrial(context);
}
