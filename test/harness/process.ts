import { Abandon, waitFor } from "./wait.ts";

export interface ProcessOptions {
  /** For messages. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Descriptors of this process that the new one has as 3, 4, …. */
  readonly descriptors?: readonly number[];
  /** Error lines that this test provokes; any other line of level error fails the test when the process is disposed of. */
  readonly expectedErrors?: readonly RegExp[];
}

export interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | number | null;
}

/** A real process whose output is kept. Disposing of it stops it and fails on unexpected error lines. */
export interface RunningProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<Ending>;
  /** Every complete line of standard output and standard error so far. */
  lines(): readonly string[];
  waitForLine(pattern: RegExp, deadlineSeconds?: number): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then waits for the end; SIGKILL after a minute. */
  stop(): Promise<Ending>;
}

export function startProcess(options: ProcessOptions): RunningProcess {
  const { name, argv, env, cwd, descriptors = [] } = options;
  const child = Bun.spawn([...argv], {
    env: { ...baseEnvironment(), ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ["ignore", "pipe", "pipe", ...descriptors],
  });
  const lines: string[] = [];
  const drained = Promise.all([collectLines(child.stdout, lines), collectLines(child.stderr, lines)]);
  const exited = child.exited.then(() => ({ exitCode: child.exitCode, signal: child.signalCode }));

  const findLine = (pattern: RegExp): string | undefined => {
    const line = lines.find((candidate) => pattern.test(candidate));
    if (line === undefined && (child.exitCode ?? child.signalCode) !== null) throw endedEarly(name, child, lines);
    return line;
  };
  const stop = async (): Promise<Ending> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const ending = await exited;
    clearTimeout(timer);
    return ending;
  };

  return {
    name,
    pid: child.pid,
    exited,
    lines: () => lines,
    waitForLine: (pattern, deadlineSeconds = 60) =>
      waitFor(`${name} to print ${pattern}`, () => findLine(pattern), { deadlineSeconds }),
    kill: (signal) => child.kill(signal),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      // A grandchild that kept the pipe must not keep the test.
      await Promise.race([drained, Bun.sleep(1000)]);
      failOnUnexpectedErrors(options, lines);
    },
  };
}

/** The port that 0 became, as Prometheus and its exporters log it. */
export async function goListeningPort(running: RunningProcess): Promise<number> {
  const line = await running.waitForLine(/msg="Listening on"/);
  const port = /address=\S+:(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`no port in ${line}`);
  return Number(port);
}

/** Runs a command to its end; for commands that are expected to end. */
export async function runProcess(
  argv: readonly string[],
  options: { env?: Readonly<Record<string, string>>; cwd?: string; stdin?: string } = {},
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...argv], {
    env: { ...baseEnvironment(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: new Blob([options.stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: 120_000,
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode, stdout, stderr };
}

/** What a service manager would give; the developer's own settings must not decide a test. */
function baseEnvironment(): Record<string, string> {
  const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin" } = process.env;
  return { PATH, HOME: "/nonexistent", LANG: "C.UTF-8" };
}

async function collectLines(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
  if (rest !== "") lines.push(rest);
}

function failOnUnexpectedErrors({ name, expectedErrors = [] }: ProcessOptions, lines: readonly string[]): void {
  const unexpected = lines
    .filter((line) => /"level":"error"|\blevel=error\b/.test(line))
    .filter((line) => !expectedErrors.some((pattern) => pattern.test(line)));
  if (unexpected.length === 0) return;
  const message = `${name} logged errors:\n${unexpected.slice(0, 10).join("\n")}`;
  console.error(message); // a test that has failed already would hide it in a SuppressedError
  throw new Error(message);
}

function endedEarly(name: string, child: Bun.Subprocess, lines: readonly string[]): Abandon {
  const how = child.signalCode ?? child.exitCode;
  return new Abandon(`${name} ended with ${how}; last lines:\n${lines.slice(-15).join("\n")}`);
}
