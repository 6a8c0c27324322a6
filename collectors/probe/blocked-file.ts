import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "../read.ts";

/** read(2), pread64(2) and getdents64(2): a descriptor is the first argument of each. */
const readingCalls: Readonly<Record<string, readonly number[]>> = { x64: [0, 17, 217], arm64: [63, 67, 61] };

/**
 * The file or folder that a process is reading just now, from what the kernel says of its system call; undefined when
 * it does something else. Nothing here touches the file itself.
 */
export function readBlockedFile(pid: number): string | undefined {
  try {
    // "17 0x5 0x7f…", or "running"
    const [call, descriptor] = readFileSync(`/proc/${pid}/syscall`, "utf8").split(" ");
    if (!readingCalls[process.arch]?.includes(Number(call))) return undefined;
    const path = readlinkSync(`/proc/${pid}/fd/${Number(descriptor)}`);
    // A pipe is "pipe:[4711]".
    return path.startsWith("/") ? path : undefined;
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
