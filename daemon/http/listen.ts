import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import { errnoOf } from "../../collectors/read.ts";
import { guard, type Handler } from "../web/guard.ts";
import { openWebConfigFile } from "../web/open.ts";
import type { Listener, TlsListenOptions } from "../web/tls-listener.ts";
import { formatAddress, type ListenAddress, parseListenAddress } from "./address.ts";
import { findPortHolder } from "./port-holder.ts";

export interface ListenOptions {
  readonly addresses: readonly string[];
  /** Empty for none. */
  readonly webConfigFile: string;
  readonly handler: Handler;
  readonly log: Logger;
}

export interface Listeners {
  /** Where it listens, with the real port for a port of 0. */
  readonly addresses: readonly string[];
  /** Whether they speak TLS. */
  readonly secure: boolean;
  /** Lets running answers end, cuts off what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** A client that says nothing for this long is disconnected; also between two bytes of a request. */
const idleTimeoutSeconds = 30;
/** Nothing that the daemon serves needs a body. */
const maxRequestBodyBytes = 64 * 1024;

export async function listen({ addresses, webConfigFile, handler, log }: ListenOptions): Promise<Listeners> {
  const source = await openWebConfigFile(webConfigFile);
  const guarded = source === undefined ? handler : guard(handler, source, log);
  const secure = source?.current().tls !== undefined;
  const listeners: { listener: Listener; address: string }[] = [];
  for (const text of addresses) {
    const { hostname, port } = parseListenAddress(text);
    const listener = await bind({ hostname, port }, (name) =>
      secure && source !== undefined
        ? listenSecure({ hostname: name, port, source, handler: guarded, log })
        : listenPlain({ hostname: name, port }, guarded, log),
    );
    const address = formatAddress({ hostname, port: listener.port });
    listeners.push({ listener, address });
    log.info("listening", { address, tls: secure });
  }
  return {
    addresses: listeners.map(({ address }) => address),
    secure,
    stop: async (graceMs) => {
      const stopped = Promise.all(listeners.map(({ listener }) => listener.stop(false)));
      const late = Symbol();
      if ((await Promise.race([stopped, Bun.sleep(graceMs).then(() => late)])) !== late) return;
      for (const { listener } of listeners) void listener.stop(true);
    },
  };
}

/** All addresses of both families where the machine has IPv6, else all of IPv4. */
async function bind(
  address: ListenAddress,
  open: (hostname: string) => Listener | Promise<Listener>,
): Promise<Listener> {
  const names = address.hostname === "" ? ["::", "0.0.0.0"] : [address.hostname];
  let problem: unknown;
  for (const name of names) {
    try {
      return await open(name);
    } catch (error) {
      problem ??= error;
      if (errnoOf(error) === "EADDRINUSE") break;
    }
  }
  throw new ExitError(ExitCode.failure, describeProblem(address, problem), { cause: undefined });
}

function describeProblem(address: ListenAddress, error: unknown): string {
  const where = `cannot listen on ${formatAddress(address)}`;
  if (errnoOf(error) !== "EADDRINUSE") return `${where}: ${error instanceof Error ? error.message : String(error)}`;
  const holder = findPortHolder(address.port);
  return holder === undefined ? `${where}: the port is in use` : `${where}: the port is in use by ${holder}`;
}

async function listenSecure(options: TlsListenOptions): Promise<Listener> {
  // Loaded only where it is wanted: it brings node:http2 along.
  const { listenTls } = await import("../web/tls-listener.ts");
  return listenTls(options);
}

function listenPlain({ hostname, port }: ListenAddress, handler: Handler, log: Logger): Listener {
  const server = Bun.serve({
    hostname,
    port,
    idleTimeout: idleTimeoutSeconds,
    maxRequestBodySize: maxRequestBodyBytes,
    development: false,
    // Bun's default for production: two daemons would share the port, each with half of the scrapes.
    reusePort: false,
    fetch: handler,
    error: (error) => {
      log.error("request failed", { error });
      return new Response("Internal Server Error\n", { status: 500 });
    },
  });
  return { port: server.port ?? port, stop: (force) => server.stop(force) };
}
