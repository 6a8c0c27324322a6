import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describeError, type Logger } from "../runtime/log.ts";

export const defaultStateDirectory = "/var/lib/aami";

/** Below the state directory, which only the daemon's user may enter: root, or who it runs as. */
const socketName = "control.sock";

export function controlSocketOf(stateDirectory: string): string {
  return join(stateDirectory, socketName);
}

export interface ControlSocket {
  stop(): void;
}

/** Answers commands of this machine's administrator. Nothing of it can be reached over the network. */
export function openControlSocket(
  stateDirectory: string,
  { handle, log }: { readonly handle: (request: Request) => Promise<Response>; readonly log: Logger },
): ControlSocket {
  const path = controlSocketOf(stateDirectory);
  try {
    // Left by a daemon that was killed; the lock on the state says that none is running.
    rmSync(path, { force: true });
    const server = Bun.serve({ unix: path, fetch: handle });
    chmodSync(path, 0o600);
    return {
      stop: () => {
        void server.stop(true);
        rmSync(path, { force: true });
      },
    };
  } catch (error) {
    // A full or read-only disk, or a path that is too long for a socket: the daemon has more to do than this.
    log.warn("findings cannot be acknowledged on this node", { path, error: describeError(error) });
    return { stop: () => {} };
  }
}
