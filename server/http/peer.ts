/** The address a request came from; a proxy's word counts only when the proxy is configured as trusted. */
export function peerAddress(
  request: Request,
  socketAddress: string | undefined,
  trustedProxies: readonly string[],
): string {
  const direct = plain(socketAddress ?? "");
  if (!trustedProxies.includes(direct)) return direct;
  const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plain(hop.trim()));
  return hops.findLast((hop) => hop !== "" && !trustedProxies.includes(hop)) ?? direct;
}

/** IPv4 inside IPv6, as a dual-stack socket reports it, is IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
