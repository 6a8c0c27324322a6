/**
 * Tries `probe` until it returns something other than undefined or false, and returns that. A probe that throws is
 * tried again; when the deadline passes, the last reason is part of the error. The deadline ends what hangs: it is far
 * beyond what a busy machine takes.
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  { deadlineSeconds = 60 }: { deadlineSeconds?: number } = {},
): Promise<T> {
  const deadline = performance.now() + deadlineSeconds * 1000;
  let reason: unknown;
  for (let pauseMs = 5; ; pauseMs = Math.min(100, pauseMs * 1.5)) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      reason = undefined;
    } catch (error) {
      if (error instanceof Abandon) throw error;
      reason = error;
    }
    if (performance.now() > deadline) {
      const failure = new Error(`after ${deadlineSeconds} s still waiting for ${what}`, { cause: reason });
      // Should a disposal fail as well, the runner would tell nothing but "SuppressedError".
      console.error(reason === undefined ? failure.message : `${failure.message}: ${String(reason)}`);
      throw failure;
    }
    await Bun.sleep(pauseMs);
  }
}

/** Thrown by a probe when waiting longer cannot help. */
export class Abandon extends Error {
  override readonly name = "Abandon";
}
