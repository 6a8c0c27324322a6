import { isIPv6 } from "node:net";

/** Of no machine (RFC 5737); only the route to it is asked for. */
const farAway = "203.0.113.1";

export function isEverywhere(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** Where Prometheus finds this machine's daemon, for those who reach a control server at that address. */
export async function addressFor(serverAddress: string): Promise<string> {
  return isEverywhere(serverAddress) ? ((await outwardAddress()) ?? "127.0.0.1") : serverAddress;
}

/** The address of the default route; undefined without one. Connecting a datagram socket sends nothing. */
async function outwardAddress(): Promise<string | undefined> {
  try {
    const socket = await Bun.udpSocket({ connect: { hostname: farAway, port: 9 } });
    const { address } = socket.address;
    socket.close();
    return address;
  } catch {
    return undefined; // no route
  }
}

export function toHost(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
