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
  let stopping = false;
  /** Between two requests. */
  const idle = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: idleMs }, (request, response) => {
    const { socket } = request;
    idle.delete(socket);
    response.once("finish", () => (stopping ? socket.end() : idle.add(socket)));
    respond(request, response, handler).catch((error: unknown) => {
      log.error("request failed", { error });
      response.destroy();
    });
  });
  const onConnection = (socket: Socket): void => {
    // The server's own timeouts hold for connections that it accepted itself.
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.once("close", () => idle.delete(socket));
    server.emit("connection", socket);
  };
  const door = await openDoor(doorway, onConnection, log);
  return {
    port: door.port,
    stop: async (force) => {
      const closed = door.close();
      stopping = true;
      // A connection that was just accepted has its request under way, or is about to: it is answered first.
      for (const socket of idle) socket.destroy();
      if (force) server.closeAllConnections();
      await closed;
    },
  };
}
