import { join } from "node:path";

export interface FaultyFile extends Disposable {
  readonly path: string;
  /** Who opens or reads it from now on stays in the kernel, where no signal reaches it. */
  hang(operation: "open" | "read"): void;
  /** Every read takes this long. */
  slowDown(milliseconds: number): void;
  /** Every read fails. */
  fail(errno: "EIO" | "EINVAL" | "ENODATA" | "EACCES"): void;
  /** Answers what was held back, and everything from now on. */
  answer(): void;
  /** Requests that were held back so far. */
  held(): number;
}

const errnos = { EIO: 5, EACCES: 13, EINVAL: 22, ENODATA: 61 } as const;

/** Puts a file over `path` that has its content and can misbehave; see faulty-file-server.ts. Needs root. */
export async function mountFaultyFile(path: string): Promise<FaultyFile> {
  const server = Bun.spawn([process.execPath, join(import.meta.dir, "faulty-file-server.ts"), path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  let said = "";
  const mounted = Promise.withResolvers<void>();
  void (async () => {
    for await (const chunk of server.stdout) {
      said += Buffer.from(chunk).toString();
      if (said.startsWith("mounted")) mounted.resolve();
    }
    mounted.reject(new Error(`the server of ${path} did not mount`));
  })();
  await mounted.promise;
  const say = (command: string): void => {
    server.stdin.write(`${command}\n`);
    void server.stdin.flush();
  };
  return {
    path,
    hang: (operation) => say(`hang ${operation}`),
    slowDown: (milliseconds) => say(`delay ${milliseconds}`),
    fail: (errno) => say(`fail ${errnos[errno]}`),
    answer: () => say("answer"),
    held: () => said.split("holding").length - 1,
    [Symbol.dispose]: () => {
      server.kill("SIGKILL");
      Bun.spawnSync(["umount", "-l", path]);
    },
  };
}
