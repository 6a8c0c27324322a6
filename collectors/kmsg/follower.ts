import { closeSync, constants, openSync, readSync } from "node:fs";
import { isErrno } from "../read.ts";
import { type KernelRecord, parseRecord, RecordError } from "./record.ts";

export interface KernelLogSlice {
  readonly records: readonly KernelRecord[];
  /** Overwritten before they were read. */
  readonly lost: number;
  /** There is nothing more to read now. */
  readonly isEnd: boolean;
}

/** Reads the kernel log without ever waiting. */
export interface KernelLog {
  /** At most `limit` of the records that are there now; the first calls give the history since boot. */
  read(limit: number): KernelLogSlice;
  /** Number of the first record that has not been read; undefined before the first one was. */
  nextSequence(): number | undefined;
  close(): void;
}

/** Longer than any record, or the kernel would refuse the read and skip it. */
const bufferBytes = 16 * 1024;

/**
 * Records before `firstSequence` are passed over. Throws EPERM where kernel.dmesg_restrict keeps the log to root and
 * CAP_SYSLOG, ENOENT where there is no device.
 */
export function openKernelLog(path: string, firstSequence?: number): KernelLog {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = new Uint8Array(bufferBytes);
  let nextSequence = firstSequence;
  return {
    read: (limit) => {
      const records: KernelRecord[] = [];
      let lost = 0;
      for (let reads = 0; reads < limit; reads++) {
        const bytes = readOne(fd, buffer);
        if (bytes === "end") return { records, lost, isEnd: true };
        // Overrun: the next read continues at the oldest record, whose number tells how many are gone.
        if (bytes === "overrun") continue;
        const record = parse(bytes);
        // Its number is missing in what follows, so it is counted as lost.
        if (record === undefined) continue;
        // Counted by the daemon before this one.
        if (firstSequence !== undefined && record.sequence < firstSequence) continue;
        if (nextSequence !== undefined && record.sequence > nextSequence) lost += record.sequence - nextSequence;
        nextSequence = record.sequence + 1;
        records.push(record);
      }
      return { records, lost, isEnd: false };
    },
    nextSequence: () => nextSequence,
    close: () => closeSync(fd),
  };
}

function parse(bytes: Uint8Array): KernelRecord | undefined {
  try {
    return parseRecord(bytes);
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}

function readOne(fd: number, buffer: Uint8Array): Uint8Array | "end" | "overrun" {
  try {
    const length = readSync(fd, buffer, 0, buffer.length, null);
    return length === 0 ? "end" : buffer.subarray(0, length);
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return "end";
    if (isErrno(error, "EPIPE", "EINVAL")) return "overrun";
    throw error;
  }
}
