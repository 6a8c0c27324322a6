import type { ReplayMemory } from "./proof.ts";

/** In memory and bounded: when full, the oldest half is dropped, because refusing everyone would be the worse fault. */
export function createReplayMemory({ now = Date.now, capacity = 200_000 } = {}): ReplayMemory {
  const seen = new Map<string, number>();
  let nextSweepMs = now() + 60_000;

  const sweep = () => {
    const limit = now();
    nextSweepMs = limit + 60_000;
    for (const [id, expiresAtMs] of seen) if (expiresAtMs <= limit) seen.delete(id);
    let surplus = seen.size >= capacity ? Math.ceil(capacity / 2) : 0;
    for (const id of seen.keys()) {
      if (surplus-- <= 0) return;
      seen.delete(id);
    }
  };

  return {
    claim(id, expiresAtMs) {
      if (seen.size >= capacity || now() >= nextSweepMs) sweep();
      if ((seen.get(id) ?? 0) > now()) return false;
      seen.set(id, expiresAtMs);
      return true;
    },
  };
}
