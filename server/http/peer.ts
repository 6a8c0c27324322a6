import { BlockList, isIP, isIPv4 } from "node:net";

/** Whether an address belongs to a proxy whose X-Forwarded-For is believed. */
export type TrustedProxies = (address: string) => boolean;

/** Addresses and networks (10.0.0.1, 10.0.0.0/8, fd00::/8). Throws a RangeError that names what is neither. */
export function parseTrustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", length, ...rest] = entry.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    const bits = length === undefined ? undefined : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
    const fits = bits === undefined || bits <= (family === "ipv4" ? 32 : 128);
    if (isIP(address) === 0 || !fits || rest.length > 0)
      throw new RangeError(`"${entry}" is neither an address nor a network such as 10.0.0.0/8`);
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, bits, family);
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** The address a request came from; a proxy's word counts only when the proxy is configured as trusted. */
export function peerAddress(request: Request, socketAddress: string | undefined, isTrusted: TrustedProxies): string {
  const direct = plain(socketAddress ?? "");
  if (!isTrusted(direct)) return direct;
  const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plain(hop.trim()));
  return hops.findLast((hop) => hop !== "" && !isTrusted(hop)) ?? direct;
}

/** IPv4 inside IPv6, as a dual-stack socket reports it, is IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
