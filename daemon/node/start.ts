import { BundleError } from "../../protocol/bundle.ts";
import { openStoredBundle } from "./bundle.ts";
import { applyChecks, keepTrustedKeys, type NodeContext, noteFault, recordEvent } from "./context.ts";
import type { Registration } from "./identity.ts";
import { hasCrashed } from "./trial.ts";

/** Runs what was accepted before, if it still is exactly that. */
export async function openFromDisk(context: NodeContext): Promise<void> {
  const { memory, store } = context;
  const { registration } = store.identity;
  memory.isRegistered = registration !== undefined;
  if (registration) {
    const isFallback = hasCrashed(context) && (await openFallback(context, registration));
    if (!isFallback) await openActive(context, registration);
  }
  applyChecks(context, memory.active);
}

async function openActive(context: NodeContext, registration: Registration): Promise<void> {
  const { memory, store, log, now } = context;
  const stored = store.state.bundle("active");
  if (!stored) return;
  try {
    memory.active = await openStoredBundle(stored, store.state, { registration, now });
    memory.state = "applied";
    keepTrustedKeys(context); // a crash may have come between the installation and this
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    // Not even an older one instead: it would be a rollback that whoever changed the disk had chosen.
    store.state.dropBundle("active");
    const message = `the bundle on disk was refused: ${error.message}`;
    noteFault(context, { kind: "reject", code: error.code, message });
    log.error("bundle on disk was refused, fetching it again", { code: error.code, reason: error.message });
  }
}

/** The one case in which an older bundle runs. The mark stays: from outside only a newer one comes in. */
async function openFallback(context: NodeContext, registration: Registration): Promise<boolean> {
  const { memory, store, log, now } = context;
  const [bad, stored] = [store.state.bundle("active"), store.state.bundle("previous")];
  if (!bad || !stored) return false;
  try {
    memory.active = await openStoredBundle(stored, store.state, { registration, now, isFallback: true });
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    log.warn("previous bundle cannot be used either", { code: error.code, reason: error.message });
    return false;
  }
  memory.state = "rolled_back";
  const facts = { version: bad.version, running_version: stored.version };
  log.error("daemon crashed twice with a new bundle, running the one before it until a newer one comes", facts);
  recordEvent(context, "rolled_back", facts);
  return true;
}
