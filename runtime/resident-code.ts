import { dlopen } from "bun:ffi";
import { readFileSync } from "node:fs";

const MADV_DONTNEED = 4;

/**
 * Lets go of the pages of code and constants that this process has touched so far: most were needed to start and never
 * again, yet they count as its memory and are the last that the kernel would take. They stay in the page cache; what is
 * needed comes back with its next use, a few hundred minor faults in all.
 */
export function releaseResidentCode(): void {
  const mappings = findDroppable(readMappings());
  if (mappings.length === 0) return;
  const libc = dlopen("libc.so.6", { madvise: { args: ["u64", "u64", "i32"], returns: "i32" } });
  for (const { start, end } of mappings) libc.symbols.madvise(start, end - start, MADV_DONTNEED);
  libc.close();
}

function readMappings(): string {
  try {
    return readFileSync("/proc/self/smaps", "utf8");
  } catch {
    return ""; // a sandbox without /proc, or a kernel without smaps
  }
}

/** Of addresses. */
export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Parts of files that can be read from them again: not writable, and no page of them is the process's own, as those are
 * in which the loader has put addresses.
 */
export function findDroppable(smaps: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const entry of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* /.exec(entry) ?? [];
    const isItsOwn = !/^Anonymous: +0 kB$/m.test(entry);
    if (start === undefined || end === undefined || isItsOwn) continue;
    mappings.push({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) });
  }
  return mappings;
}
