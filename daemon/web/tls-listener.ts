import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { Logger } from "../../runtime/log.ts";
import { type Doorway, type Listener, openDoor } from "./door.ts";
import type { Handler } from "./guard.ts";
import { respond } from "./node-http.ts";
import type { ClientPolicy, TlsOptions } from "./tls-options.ts";
import type { WebConfigSource } from "./web-config-source.ts";

/** How often the certificate is looked at when no request comes by; requests look too. */
const watchIntervalMs = 1000;
const handshakeTimeoutMs = 10_000;
/**
 * Longer than Prometheus keeps a connection that is not in use (5 minutes), so that it never sends a scrape over HTTP/2
 * into one that is being closed: such a scrape would not be tried again.
 */
const idleTimeoutMs = 330_000;
const tlsHandshakeRecord = 0x16;

/** Requests at once on one HTTP/2 connection. */
const maxConcurrentStreams = 100;

export interface TlsListenOptions {
  readonly doorway: Doorway;
  readonly source: WebConfigSource;
  readonly handler: Handler;
  readonly log: Logger;
  readonly timeouts?: { readonly handshakeMs: number; readonly idleMs: number };
}

/**
 * HTTPS with HTTP/1.1 and HTTP/2 by node:http2, since Bun.serve shows no client certificate and takes no TLS version.
 * Other settings while running are another server behind the same door; connections end as they began.
 */
export async function listenTls(options: TlsListenOptions): Promise<Listener> {
  const { doorway, source, handler, log } = options;
  const { handshakeMs, idleMs } = options.timeouts ?? { handshakeMs: handshakeTimeoutMs, idleMs: idleTimeoutMs };
  const sockets = new Set<TLSSocket>();
  const handshakes = new WeakMap<Socket, Timer>();

  const open = ({ tls: { context, clients }, http2 }: TlsSettings): Http2SecureServer => {
    const server = createSecureServer({
      ...context,
      allowHTTP1: true,
      settings: { maxConcurrentStreams },
      ...(http2 ? {} : { ALPNCallback: () => "http/1.1" }),
      requestCert: clients.request,
      rejectUnauthorized: false,
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      clearTimeout(handshakes.get(connectionOf(socket)));
      socket.setTimeout(idleMs, () => socket.destroy());
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      const refusal = refuse(socket, clients);
      if (refusal === undefined) return;
      log.debug("tls client refused", { reason: refusal, client: socket.remoteAddress });
      socket.destroy();
    });
    server.on("tlsClientError", (error) => log.debug("tls handshake failed", { error }));
    server.on("request", (request: Http2ServerRequest, response: Http2ServerResponse) => {
      refresh();
      respond(request, response, handler).catch((error) => {
        log.error("request failed", { error });
        response.destroy();
      });
    });
    return server;
  };

  const settings = currentSettings(source);
  if (settings === undefined) throw new Error("the web configuration has no tls_server_config");
  let seen = settings.tls;
  let active = settings;
  let server = open(active);
  const refresh = (): void => {
    const latest = currentSettings(source);
    if (latest === undefined || latest.tls === seen) return;
    seen = latest.tls;
    // Another reading of the file need not have changed any of this.
    if (JSON.stringify(latest) === JSON.stringify(active)) return;
    active = latest;
    server = open(active);
    log.info("tls settings replaced");
  };

  const onConnection = (socket: Socket): void => {
    const timer = setTimeout(() => socket.destroy(), handshakeMs).unref();
    handshakes.set(socket, timer);
    socket.on("close", () => clearTimeout(timer));
    sortOut(socket, () => server);
  };
  const door = await openDoor(doorway, onConnection, log);
  const watch = setInterval(refresh, watchIntervalMs);
  watch.unref();
  return {
    port: door.port,
    stop: (force) => {
      clearInterval(watch);
      if (force) for (const socket of sockets) socket.destroy();
      return door.close();
    },
  };
}

/** The connection under a TLS socket: both Node and Bun keep it there, and it is the only way from one to the other. */
function connectionOf(socket: TLSSocket): Socket {
  return (socket as TLSSocket & { readonly _parent: Socket })._parent;
}

/** Hands TLS connections on by their first byte; a client that speaks plain HTTP is told so, as Go's server does. */
function sortOut(socket: Socket, currentServer: () => Http2SecureServer): void {
  socket.on("error", () => socket.destroy());
  socket.once("data", (chunk) => {
    if (chunk[0] !== tlsHandshakeRecord) {
      socket.end("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
      return;
    }
    socket.pause();
    socket.unshift(chunk);
    currentServer().emit("connection", socket);
  });
}

interface TlsSettings {
  readonly tls: TlsOptions;
  readonly http2: boolean;
}

/** Undefined while the file is broken: requests are then refused, and the last good certificate keeps answering. */
function currentSettings(source: WebConfigSource): TlsSettings | undefined {
  try {
    const { tls, http2 } = source.current();
    return tls && { tls, http2 };
  } catch {
    return undefined; // the guard in front of the pages reports it
  }
}

function refuse(socket: TLSSocket, policy: ClientPolicy): string | undefined {
  if (!policy.request) return undefined;
  const certificate = socket.getPeerCertificate() as PeerCertificate | null;
  if (certificate === null || Object.keys(certificate).length === 0) {
    return policy.required ? "no client certificate" : undefined;
  }
  if (policy.verified && !socket.authorized) return `client certificate: ${String(socket.authorizationError)}`;
  if (policy.allowedNames === undefined) return undefined;
  const names = subjectNames(certificate.subjectaltname ?? "");
  return policy.allowedNames.some((name) => names.includes(name)) ? undefined : "no allowed name in client certificate";
}

/** "DNS:a, IP Address:127.0.0.1, URI:spiffe://x" to the bare names; exact matches only, as exporter-toolkit does. */
function subjectNames(text: string): string[] {
  return text.split(", ").map((entry) => {
    const name = entry.slice(entry.indexOf(":") + 1);
    // "2001:DB8:0:0:0:0:0:1", which Go writes as everybody does.
    return entry.startsWith("IP Address:") && name.includes(":")
      ? new URL(`http://[${name}]`).hostname.slice(1, -1)
      : name;
  });
}
