import { join } from "node:path";

/** A program beside this file that serves a mount, takes commands on stdin and tells on stdout what it does. */
export interface MountServer extends Disposable {
  /** Resolves when the server has obeyed: the next request meets what was asked for. */
  tell(command: string): Promise<void>;
  /** How many lines it has said that begin with this. */
  count(word: string): number;
  /** Ends the server: the kernel aborts the connection. */
  crash(): Promise<void>;
}

/** Resolves when `mountPoint` is mounted. `detached`: in a process group of its own. */
export async function startMountServer(
  program: string,
  mountPoint: string,
  { detached = false } = {},
): Promise<MountServer> {
  const server = Bun.spawn([process.execPath, join(import.meta.dir, program), mountPoint], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    detached,
  });
  const lines: string[] = [];
  const waiting = new Map<string, (() => void)[]>();
  const hear = (line: string): void => {
    lines.push(line);
    waiting.get(line)?.shift()?.();
  };
  const heard = (line: string): Promise<void> =>
    new Promise((resolve) => void waiting.set(line, [...(waiting.get(line) ?? []), resolve]));
  const ended = readLines(server.stdout, hear).then(() => {
    throw new Error(`${program} of ${mountPoint} has ended`);
  });
  ended.catch(() => {}); // told to whoever waits for it
  await Promise.race([heard("mounted"), ended]);
  return {
    tell: async (command) => {
      const obeyed = heard(`obeyed ${command}`);
      server.stdin.write(`${command}\n`);
      await server.stdin.flush();
      await Promise.race([obeyed, ended]);
    },
    count: (word) => lines.filter((line) => line.startsWith(word)).length,
    crash: async () => {
      server.kill("SIGKILL");
      await server.exited;
    },
    [Symbol.dispose]: () => {
      server.kill("SIGKILL");
      Bun.spawnSync(["umount", "-l", mountPoint]);
    },
  };
}

async function readLines(stream: ReadableStream<Uint8Array>, hear: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    parts.forEach(hear);
  }
}
