import type { Logger } from "../../runtime/log.ts";
import { createBackoff } from "./backoff.ts";
import { deleteTokenFile, tokenFileStamp } from "./bootstrap-file.ts";
import type { Registration } from "./identity.ts";
import { type RegisterOptions, registerOnce, type RegistrationFailure, toFailure } from "./register.ts";
import type { Sleep } from "./sleep.ts";

export interface EnrolOptions extends RegisterOptions {
  readonly log: Logger;
  readonly sleep: Sleep;
  readonly random: () => number;
  readonly failed: (failure: RegistrationFailure) => void;
  /** See NodeStore: a key that would be lost with the next start must not take a use of the token. */
  readonly isPersistent: boolean;
}

/** How often a waiting node looks whether somebody wrote a new token. */
const tokenLookMs = 5000;

/** Tries until the node is registered or the signal ends it. A token that arrives is used within seconds. */
export async function enrol(options: EnrolOptions): Promise<Registration | undefined> {
  const { config, log, sleep, random, signal, failed } = options;
  const transient = createBackoff({ firstMs: 2000, limitMs: 300_000, random });
  const permanent = createBackoff({ firstMs: 60_000, limitMs: 900_000, random });
  let lastCode = "";
  while (!signal.aborted) {
    const stamp = tokenFileStamp(config.token_file);
    const outcome = await attempt(options);
    if (signal.aborted) return undefined;
    if (!("code" in outcome)) return outcome;
    failed(outcome);
    const { code, message, retryAfterMs } = outcome;
    const waitMs = outcome.permanent ? permanent.next(retryAfterMs) : transient.next(retryAfterMs);
    const level = code === lastCode ? "debug" : "warn";
    log[level]("registration failed", { code, reason: message, retry_seconds: Math.round(waitMs / 1000) });
    lastCode = code;
    await waitForToken(config.token_file, { stamp, waitMs, sleep, signal });
  }
  return undefined;
}

async function attempt(options: EnrolOptions): Promise<Registration | RegistrationFailure> {
  const { config, isPersistent } = options;
  if (!isPersistent) {
    const message = "the state directory cannot be written: a registration would be lost with the next start";
    return { code: "store", message, permanent: true, retryAfterMs: undefined };
  }
  try {
    return await registerOnce(options);
  } catch (error) {
    if (options.signal.aborted) return { code: "stopped", message: "", permanent: false, retryAfterMs: undefined };
    return toFailure(error, config);
  }
}

interface WaitOptions {
  readonly stamp: string;
  readonly waitMs: number;
  readonly sleep: Sleep;
  readonly signal: AbortSignal;
}

/** Until the time is over or the token file is another one. */
export async function waitForToken(path: string, { stamp, waitMs, sleep, signal }: WaitOptions): Promise<void> {
  for (let restMs = waitMs; restMs > 0 && !signal.aborted; restMs -= tokenLookMs) {
    await sleep(Math.min(restMs, tokenLookMs), signal);
    if (tokenFileStamp(path) !== stamp) return;
  }
}

/** The token has done its work; whoever finds it could register other machines with what is left of it. */
export function discardToken(path: string, log: Logger): void {
  try {
    deleteTokenFile(path);
  } catch (error) {
    log.warn("cannot delete the used bootstrap token, delete it yourself", { path, error });
  }
}
