import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import { errnoOf } from "../../collectors/read.ts";
import type { Doorway, Listener } from "../web/door.ts";
import { guard, type Handler } from "../web/guard.ts";
import { openWebConfigFile } from "../web/open.ts";
import { plainText } from "../web/plain-text.ts";
import type { WebConfigSource } from "../web/web-config-source.ts";
import {
  formatAddress,
  type ListenAddress,
  parseListenAddress,
  type TcpAddress,
  type VsockAddress,
} from "./address.ts";
import { toHosts } from "./hosts.ts";
import { findPortHolder } from "./port-holder.ts";

export interface ListenOptions {
  /** Not opened where there are descriptors. */
  readonly addresses: readonly string[];
  /** Listening sockets that a service manager passed; undefined for none. */
  readonly descriptors?: readonly number[] | undefined;
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

interface Opened {
  readonly listener: Listener;
  readonly address: string;
}

export async function listen({
  addresses,
  descriptors,
  webConfigFile,
  handler,
  log,
}: ListenOptions): Promise<Listeners> {
  const source = await openWebConfigFile(webConfigFile, log);
  const secure = source?.current().tls !== undefined;
  const service: Service = {
    handler: source === undefined ? handler : guard(handler, source, log),
    tlsSource: secure ? source : undefined,
    log,
  };
  const openings =
    descriptors === undefined
      ? addresses.map(parseListenAddress).map((address) => () => openAddress(address, service))
      : descriptors.map((fd) => () => adopt(fd, service));
  const opened: Opened[] = [];
  for (const open of openings) {
    const next = await open();
    opened.push(next);
    log.info("listening", { address: next.address, tls: secure });
  }
  return {
    addresses: opened.map(({ address }) => address),
    secure,
    stop: async (graceMs) => {
      source?.stop();
      const stopped = Promise.all(opened.map(({ listener }) => listener.stop(false)));
      const late = Symbol();
      if ((await Promise.race([stopped, Bun.sleep(graceMs).then(() => late)])) !== late) return;
      for (const { listener } of opened) void listener.stop(true);
    },
  };
}

/** What is served, whatever the way in. */
interface Service {
  readonly handler: Handler;
  /** Undefined: plain HTTP. */
  readonly tlsSource: WebConfigSource | undefined;
  readonly log: Logger;
}

function openAddress(address: ListenAddress, service: Service): Promise<Opened> {
  return address.family === "vsock" ? openVsock(address, service) : openTcp(address, service);
}

async function openTcp(address: TcpAddress, service: Service): Promise<Opened> {
  const { port } = address;
  let problem: unknown;
  for (const hostname of await toHosts(address.hostname)) {
    try {
      const listener =
        service.tlsSource === undefined ? serve(hostname, port, service) : await serveDoor({ hostname, port }, service);
      return { listener, address: formatAddress({ ...address, port: listener.port }) };
    } catch (error) {
      problem ??= error;
      if (errnoOf(error) === "EADDRINUSE") break;
    }
  }
  throw cannotListen(address, problem ?? new Error("the name has no address"));
}

async function openVsock(address: VsockAddress, service: Service): Promise<Opened> {
  const { addressOf, listenVsock } = await import("./raw-socket.ts");
  try {
    const fd = listenVsock(address);
    return { listener: await serveDoor({ fd }, service), address: addressOf(fd) };
  } catch (error) {
    throw cannotListen(address, error);
  }
}

async function adopt(fd: number, service: Service): Promise<Opened> {
  const { addressOf, adoptListeningSocket } = await import("./raw-socket.ts");
  try {
    adoptListeningSocket(fd);
    return { listener: await serveDoor({ fd }, service), address: addressOf(fd) };
  } catch (error) {
    const problem = `cannot listen on descriptor ${fd}, passed by the service manager: ${messageOf(error)}`;
    throw new ExitError(ExitCode.failure, `${problem}; the socket unit needs ListenStream= and Accept=no`);
  }
}

function cannotListen(address: ListenAddress, error: unknown): ExitError {
  const where = `cannot listen on ${formatAddress(address)}`;
  if (errnoOf(error) !== "EADDRINUSE") return new ExitError(ExitCode.failure, `${where}: ${messageOf(error)}`);
  const holder = address.family === "tcp" ? findPortHolder(address.port) : undefined;
  const by = holder === undefined ? "" : ` by ${holder}`;
  return new ExitError(ExitCode.failure, `${where}: the port is in use${by}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Both ways are loaded only where they are wanted: they bring node:http and node:http2 along. */
async function serveDoor(doorway: Doorway, { handler, tlsSource, log }: Service): Promise<Listener> {
  if (tlsSource === undefined) {
    const { listenPlain } = await import("../web/plain-listener.ts");
    return listenPlain({ doorway, handler, log, idleMs: idleTimeoutSeconds * 1000 });
  }
  const { listenTls } = await import("../web/tls-listener.ts");
  return listenTls({ doorway, source: tlsSource, handler, log });
}

function serve(hostname: string, port: number, { handler, log }: Service): Listener {
  const server = Bun.serve({
    hostname,
    port,
    idleTimeout: idleTimeoutSeconds,
    maxRequestBodySize: maxRequestBodyBytes,
    development: false,
    // Bun's default for production: two daemons would share the port, each with half of the scrapes.
    reusePort: false,
    fetch: (request, bun) => handler(request, () => bun.requestIP(request)?.address),
    error: (error) => {
      log.error("request failed", { error });
      return plainText(500, "Internal Server Error\n");
    },
  });
  return { port: server.port ?? port, stop: (force) => server.stop(force) };
}
