import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { errnoOf, isErrno } from "../../collectors/read.ts";
import { ScriptError } from "../terminal.ts";

export interface WantedPort {
  /** For the message: "the daemon". */
  readonly owner: string;
  readonly address: string;
  readonly port: number;
  /** The option that chooses another port. */
  readonly option: string;
}

/** Throws with one line that names who holds the port. Port 0 is any free one. */
export async function requireFreePort(wanted: WantedPort): Promise<void> {
  const failure = await tryToListen(wanted);
  if (failure === undefined) return;
  const { owner, address, port, option } = wanted;
  if (failure !== "EADDRINUSE") throw new ScriptError(`${owner} cannot listen on ${address}:${port}: ${failure}`);
  const holder = findHolder(port) ?? "another program";
  throw new ScriptError(
    `port ${port}, wanted by ${owner}, is taken by ${holder}; stop it or choose another: npm start -- ${option} ${port + 1}`,
  );
}

function tryToListen({ address, port }: WantedPort): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", (error) => resolve(errnoOf(error) ?? error.message));
    server.listen(port, address, () => server.close(() => resolve(undefined)));
  });
}

/** "nginx (pid 42)"; undefined where /proc does not say (a process of another user, without root). */
function findHolder(port: number): string | undefined {
  const sockets = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => listeningInodes(table, port)));
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (!openSockets(pid).some((inode) => sockets.has(inode))) continue;
    return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
  }
  return undefined;
}

// Columns of proc_net_tcp(5): slot, local address:port in hexadecimal, remote, state (0A = listening), …, inode.
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync(table, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === "0A")
    .map((columns) => columns[9] ?? "");
}

function openSockets(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      const target = readLinkIfThere(`/proc/${pid}/fd/${fd}`);
      return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? "";
    });
  } catch (error) {
    if (isErrno(error, "EACCES", "ENOENT", "ESRCH")) return []; // not ours to look at, or ended meanwhile
    throw error;
  }
}

function readLinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES")) return "";
    throw error;
  }
}
