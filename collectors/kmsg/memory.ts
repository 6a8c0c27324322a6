import type { CountedEvent } from "./counts.ts";

/** What the next daemon of this boot has to know, so that it counts nothing twice and forgets nothing. */
export interface KernelLogMemory {
  readonly bootId: string;
  /** Number of the first record that has not been counted. */
  readonly nextSequence: number;
  /** Time of the newest Xid of the driver's events that has been counted. */
  readonly driverToldMs?: number;
  readonly lost: number;
  readonly counted: readonly CountedEvent[];
}

/** Undefined for what was written in another boot, whose records have the same numbers, or by another program version. */
export function parseMemory(text: string | undefined, bootId: string): KernelLogMemory | undefined {
  if (text === undefined) return undefined;
  let memory: Partial<KernelLogMemory>;
  try {
    memory = JSON.parse(text) as Partial<KernelLogMemory>;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { nextSequence, driverToldMs, lost, counted } = memory;
  if (memory.bootId !== bootId || !Number.isSafeInteger(nextSequence) || !Array.isArray(counted)) return undefined;
  const told = driverToldMs === undefined ? {} : { driverToldMs };
  return { bootId, nextSequence: nextSequence ?? 0, ...told, lost: lost ?? 0, counted };
}
