import type { MountProber } from "./prober.ts";

/** A mount that has not answered this long after the one before it is taken for one that hangs. */
const silenceMs = 250;
/** Until the first answer it may be the probe process itself that has not come up, on a machine that is busy starting. */
const startMs = 1500;
const lookMs = 25;

type FirstRound = Pick<MountProber, "firstRound" | "answered">;

/**
 * The first page after the start waits for mounts that have not been asked yet, for as long as answers keep coming: a
 * slow machine then has them all, and one that hangs costs little.
 */
export async function waitForFirstRound(
  { firstRound, answered }: FirstRound,
  signal: AbortSignal,
  limits: { readonly silenceMs: number; readonly startMs: number } = { silenceMs, startMs },
): Promise<void> {
  const done = firstRound.then(() => true);
  let answers = answered();
  let since = performance.now();
  while (!signal.aborted) {
    if (await Promise.race([done, Bun.sleep(lookMs).then(() => false)])) return;
    const now = answered();
    if (now > answers) since = performance.now();
    answers = now;
    if (performance.now() - since > (answers === 0 ? limits.startMs : limits.silenceMs)) return;
  }
}
