import type { Host } from "./host.ts";

/** The numbers of each line of /proc/net/rpc/nfs or nfsd, by the line's first word. */
export type RpcLines = ReadonlyMap<string, readonly number[]>;

/**
 * `lengths` says how many numbers each known line has at least; a line of a procedure table ("proc3 22 …") starts with
 * its own count. A line that is unknown or too short is left out and reported, so that a newer kernel's addition does
 * not cost the rest (node_exporter gives up the whole collector).
 */
export function parseRpcLines(text: string, lengths: Readonly<Record<string, number>>, host: Host): RpcLines {
  const lines = new Map<string, readonly number[]>();
  for (const line of text.split("\n")) {
    const [key, ...fields] = line.split(/\s+/).filter((field) => field !== "");
    if (key === undefined) continue;
    const length = lengths[key];
    // The thread line goes on with ten fractions that kernels since 2.6.31 leave at zero.
    const numbers = (key === "th" ? fields.slice(0, length) : fields).map(Number);
    if (length === undefined || numbers.length < length || !numbers.every(Number.isInteger)) {
      host.skipped(`rpc line ${key}`, new Error(`unexpected rpc line: ${line}`));
    } else {
      lines.set(key, numbers);
    }
  }
  return lines;
}

/** The procedures of a "procN" line in the kernel's order; one that an older kernel does not count reads as 0. */
export function toProcedures(
  numbers: readonly number[] | undefined,
  names: readonly string[],
): readonly (readonly [string, number])[] {
  return names.map((name, index) => [name, numbers?.[index + 1] ?? 0] as const);
}
