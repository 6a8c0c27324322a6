import { type Static, Type as t } from "@sinclair/typebox";

/** What is remembered of a port between looks. Times are seconds since 1970. */
export const PortMemory = t.Object({
  /** It has been active: from then on it is missed when it is not. */
  wasActive: t.Boolean(),
  bestRate: t.Number(),
  downSince: t.Optional(t.Number()),
  /** The port's own count of link losses when it was last seen active. */
  lossesWhenUp: t.Number(),
  recoveredAt: t.Optional(t.Number()),
  flaps: t.Array(t.Number()),
});
export type PortMemory = Static<typeof PortMemory>;

/** One look at a port. */
export interface PortReading {
  readonly active: boolean;
  readonly bytesPerSecond: number;
  /** link_downed; undefined where the port does not tell. */
  readonly losses: number | undefined;
}

/** A shorter break between two looks is not called a flap unless the port has counted it. */
const flapDownSeconds = 25;
const flapsKept = 50;

export function observePort(
  before: PortMemory | undefined,
  { active, bytesPerSecond, losses = 0 }: PortReading,
  { nowSeconds, windowSeconds }: { nowSeconds: number; windowSeconds: number },
): PortMemory {
  const known = before ?? { wasActive: false, bestRate: 0, lossesWhenUp: losses, flaps: [] };
  const { downSince, ...kept } = known;
  const flaps = known.flaps.filter((at) => nowSeconds - at < windowSeconds);
  if (!active) return { ...kept, flaps, downSince: downSince ?? nowSeconds };
  const hasRecovered = downSince !== undefined && known.wasActive;
  // The counter also sees breaks that are over before the next look. It starts anew with the driver.
  const counted = before !== undefined && losses > known.lossesWhenUp ? losses - known.lossesWhenUp : 0;
  const seen = hasRecovered && nowSeconds - downSince >= flapDownSeconds ? 1 : 0;
  const fresh = Array.from({ length: Math.min(flapsKept, Math.max(counted, seen)) }, () => nowSeconds);
  return {
    ...kept,
    wasActive: true,
    bestRate: Math.max(known.bestRate, bytesPerSecond),
    lossesWhenUp: losses,
    flaps: [...flaps, ...fresh].slice(-flapsKept),
    ...(hasRecovered && { recoveredAt: nowSeconds }),
  };
}
