import { startMountServer } from "./mount-server.ts";

/** What it is told holds for the next request once the promise has resolved. */
export interface FaultyFile extends Disposable {
  readonly path: string;
  /** Who opens or reads it from now on stays in the kernel, where no signal reaches it. */
  hang(operation: "open" | "read"): Promise<void>;
  /** Every read takes this long. */
  slowDown(milliseconds: number): Promise<void>;
  /** Every read fails. */
  fail(errno: "EIO" | "EINVAL" | "ENODATA" | "EACCES"): Promise<void>;
  /** Answers what was held back, and everything from now on. */
  answer(): Promise<void>;
  /** Requests that were held back so far. */
  held(): number;
}

const errnos = { EIO: 5, EACCES: 13, EINVAL: 22, ENODATA: 61 } as const;

/** Puts a file over `path` that has its content and can misbehave; see faulty-file-server.ts. Needs root. */
export async function mountFaultyFile(path: string): Promise<FaultyFile> {
  const server = await startMountServer("faulty-file-server.ts", path);
  return {
    path,
    hang: (operation) => server.tell(`hang ${operation}`),
    slowDown: (milliseconds) => server.tell(`delay ${milliseconds}`),
    fail: (errno) => server.tell(`fail ${errnos[errno]}`),
    answer: () => server.tell("answer"),
    held: () => server.count("holding"),
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}
