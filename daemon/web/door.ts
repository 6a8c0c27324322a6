import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Logger } from "../../runtime/log.ts";

/** Where connections come from: an address of our own, or a listening socket that somebody else opened. */
export type Doorway = { readonly hostname: string; readonly port: number } | { readonly fd: number };

export interface Door {
  /** 0 where there are no ports: a Unix socket. */
  readonly port: number;
  /** No new connections; resolves when the last one has ended. What waits in a socket of somebody else's stays there. */
  close(): Promise<void>;
}

export interface Listener {
  readonly port: number;
  /** No new connections; running answers end first unless `force`. */
  stop(force: boolean): Promise<void>;
}

/** Accepts connections for an HTTP server that takes them one by one. */
export function openDoor(doorway: Doorway, onConnection: (socket: Socket) => void, log: Logger): Promise<Door> {
  const server = createServer(onConnection);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("fd" in doorway ? doorway : { host: doorway.hostname, port: doorway.port }, () => {
      server.off("error", reject);
      server.on("error", (error) => log.error("listener failed", { error }));
      resolve({
        port: (server.address() as AddressInfo | null)?.port ?? 0,
        close: () => new Promise((done) => server.close(() => done())),
      });
    });
  });
}
