import { dlopen, ptr } from "bun:ffi";
import { openSync } from "node:fs";

/** Number that rises with every mount and unmount that this process can see: poll(2) on /proc/self/mountinfo tells. */
export function watchMounts(): () => number {
  const { poll } = dlopen("libc.so.6", { poll: { args: ["ptr", "u64", "i32"], returns: "i32" } }).symbols;
  const POLLPRI = 2;
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(openSync("/proc/self/mountinfo", "r"), 0);
  pollfd.writeInt16LE(POLLPRI, 4);
  let changes = 0;
  return () => {
    // A failed poll says nothing, so something may have changed.
    if (poll(ptr(pollfd), 1, 0) !== 0) changes++;
    return changes;
  };
}
