import type { Reading } from "../../../daemon/scrape/reading.ts";
import type { TakeReading } from "../../../daemon/scrape/slot.ts";

/** A way to ask a slot, as a promise. */
export function ask(read: (take: TakeReading) => boolean): { reading: Promise<Reading>; isWorthWaiting: boolean } {
  const { promise, resolve } = Promise.withResolvers<Reading>();
  const isWorthWaiting = read(resolve);
  return { reading: promise, isWorthWaiting };
}
