import { ExitCode, ExitError } from "../../runtime/exit.ts";

export interface TcpAddress {
  readonly family: "tcp";
  /** "" for all addresses of both families. */
  readonly hostname: string;
  readonly port: number;
}

export interface VsockAddress {
  readonly family: "vsock";
  /** Context identifier; undefined for every one that this machine has. */
  readonly cid: number | undefined;
  readonly port: number;
}

export type ListenAddress = TcpAddress | VsockAddress;

const vsockScheme = "vsock://";
/** Both 32 bits wide; the highest value of either stands for "any". */
const highestVsockNumber = 0xffff_fffe;

/** "host:port", "[IPv6]:port" or ":port", as Go's net.Listen reads them; "vsock://:port" or "vsock://cid:port". */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith(vsockScheme)) return parseVsockAddress(text);
  const match = /^(?:\[([^\]]*)\]|([^:\[\]]*)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw refuse(text, "expected host:port, [IPv6]:port or :port");
  const hostname = match[1] ?? match[2] ?? "";
  if (hostname.includes("%")) throw refuse(text, "an address with a zone cannot be listened on, take [::] or another");
  return { family: "tcp", hostname, port };
}

function parseVsockAddress(text: string): VsockAddress {
  const [, cid = "", port] = /^(\d*):(\d+)$/.exec(text.slice(vsockScheme.length)) ?? [];
  if (port === undefined || Number(port) > highestVsockNumber || Number(cid) > highestVsockNumber) {
    throw refuse(text, "expected vsock://:port or vsock://cid:port");
  }
  return { family: "vsock", cid: cid === "" ? undefined : Number(cid), port: Number(port) };
}

export function formatAddress(address: ListenAddress): string {
  if (address.family === "vsock") return `${vsockScheme}${address.cid ?? ""}:${address.port}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function refuse(text: string, reason: string): ExitError {
  return new ExitError(ExitCode.failure, `listen address ${JSON.stringify(text)}: ${reason}`);
}
