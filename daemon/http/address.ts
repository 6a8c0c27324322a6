import { ExitCode, ExitError } from "../../runtime/exit.ts";

export interface ListenAddress {
  /** "::" for all addresses of both families. */
  readonly hostname: string;
  readonly port: number;
}

/** "host:port", "[IPv6]:port" or ":port", as Go's net.Listen reads them. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("vsock://")) throw refuse(text, "vsock is not supported");
  const match = /^(?:\[([^\]]*)\]|([^:\[\]]*)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw refuse(text, "expected host:port, [IPv6]:port or :port");
  return { hostname: match[1] ?? match[2] ?? "", port };
}

export function formatAddress({ hostname, port }: ListenAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function refuse(text: string, reason: string): ExitError {
  return new ExitError(ExitCode.failure, `listen address ${JSON.stringify(text)}: ${reason}`);
}
