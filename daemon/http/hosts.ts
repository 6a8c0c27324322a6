import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";

type Lookup = (name: string) => Promise<readonly LookupAddress[]>;

/**
 * The addresses to try, the first that the machine has is listened on. As Go's net.Listen: "0.0.0.0" is every address of
 * both families like none at all, and a name is its first IPv4 address, whatever else it has.
 */
export async function toHosts(hostname: string, lookup: Lookup = lookupAll): Promise<readonly string[]> {
  if (hostname === "" || hostname === "0.0.0.0") return ["::", "0.0.0.0"];
  if (isIP(hostname) !== 0) return [hostname];
  const found = await lookup(hostname);
  const chosen = found.find(({ family }) => family === 4) ?? found[0];
  return chosen === undefined ? [] : [chosen.address];
}

/** Empty for a name that nobody knows. */
async function lookupAll(name: string): Promise<readonly LookupAddress[]> {
  const { lookup } = await import("node:dns/promises");
  try {
    return await lookup(name, { all: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTFOUND") return [];
    throw error;
  }
}
