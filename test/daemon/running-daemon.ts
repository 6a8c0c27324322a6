import { selfCommand } from "../../runtime/self.ts";

/** A daemon from the sources on a free port, ready to be asked. */
export interface RunningDaemon extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Lines of its log so far. */
  readonly lines: readonly Record<string, unknown>[];
  get(path: string, init?: RequestInit): Promise<Response>;
  page(path?: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** Waits for a line of the log with this message. */
  logged(message: string): Promise<Record<string, unknown>>;
}

export async function startDaemonProcess(...args: readonly string[]): Promise<RunningDaemon> {
  const command = selfCommand("daemon", "--web.listen-address=127.0.0.1:0", ...args);
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const lines: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  const reading = readLines(child.stderr, (line) => {
    lines.push(line);
    for (const wake of waiting) wake();
  });
  const logged = async (message: string): Promise<Record<string, unknown>> => {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const found = lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      if (performance.now() > deadline || child.exitCode !== null) {
        throw new Error(`"${message}" was not logged: ${JSON.stringify(lines)}`);
      }
      await Promise.race([new Promise<void>((wake) => waiting.add(wake)), Bun.sleep(100)]);
    }
  };
  const { address } = await logged("listening");
  const url = `http://${String(address)}`;
  return {
    url,
    pid: child.pid,
    lines,
    logged,
    exited: child.exited,
    signal: (name) => child.kill(name),
    get: (path, init) => fetch(`${url}${path}`, init),
    page: async (path = "/metrics") => (await fetch(`${url}${path}`)).text(),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
  };
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  take: (line: Record<string, unknown>) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts)
      take(part.startsWith("{") ? (JSON.parse(part) as Record<string, unknown>) : { msg: part });
  }
}
