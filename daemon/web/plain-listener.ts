import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "../../runtime/log.ts";
import { type Doorway, type Listener, openDoor } from "./door.ts";
import type { Handler } from "./guard.ts";
import { respond } from "./node-http.ts";

export interface PlainListenOptions {
  readonly doorway: Doorway;
  readonly handler: Handler;
  readonly log: Logger;
  /** A client that says nothing for this long is disconnected; also between two bytes of a request. */
  readonly idleMs: number;
}

/** HTTP/1.1 by node:http, for sockets that Bun.serve cannot take over: it opens its own. */
export async function listenPlain({ doorway, handler, log, idleMs }: PlainListenOptions): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: idleMs }, (request, response) => {
    respond(request, response, handler).catch((error: unknown) => {
      log.error("request failed", { error });
      response.destroy();
    });
  });
  const onConnection = (socket: Socket): void => {
    // The server's own timeouts hold for connections that it accepted itself.
    socket.setTimeout(idleMs, () => socket.destroy());
    server.emit("connection", socket);
  };
  const door = await openDoor(doorway, onConnection, log);
  return {
    port: door.port,
    stop: async (force) => {
      const closed = door.close();
      if (force) server.closeAllConnections();
      else server.closeIdleConnections();
      await closed;
    },
  };
}
