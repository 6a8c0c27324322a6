import { join } from "node:path";

// A compiled binary's modules live under Bun's virtual root; the program is then the executable itself.
const compiled = import.meta.path.startsWith("/$bunfs/");

/** The command line that starts this same program again with other arguments: compiled binary or sources alike. */
export function selfCommand(...args: readonly string[]): string[] {
  return compiled ? [process.execPath, ...args] : [process.execPath, join(import.meta.dir, "../main.ts"), ...args];
}
