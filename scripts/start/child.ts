import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { ScriptError } from "../terminal.ts";

export interface ChildOptions {
  /** For messages: "control server". */
  readonly name: string;
  readonly argv: readonly string[];
  readonly logPath: string;
}

export interface Child {
  readonly name: string;
  /** Rejects, with the last lines of the log, when the process ends without having been asked to. */
  readonly died: Promise<never>;
  /** SIGTERM, SIGKILL after 10 s. */
  stop(): Promise<void>;
}

/** Starts a long-running process that writes its own log file. */
export function startChild({ name, argv, logPath }: ChildOptions): Child {
  mkdirSync(dirname(logPath), { recursive: true });
  const log = openSync(logPath, "w");
  // A session of its own: Ctrl-C reaches this script alone, which stops its children in the right order.
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: log, stderr: log, detached: true });
  closeSync(log);
  let stopping = false;
  const died = child.exited.then((): Promise<never> => {
    if (stopping) return new Promise(() => {});
    const how = child.signalCode ?? `exit status ${child.exitCode}`;
    throw new ScriptError(`the ${name} ended unexpectedly (${how}); the end of ${logPath}:\n${lastLines(logPath)}`);
  });
  died.catch(() => {}); // whoever waits for it gets it; nobody waiting is not an error of its own
  return {
    name,
    died,
    stop: async () => {
      stopping = true;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

function lastLines(path: string): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-12).join("\n");
}
