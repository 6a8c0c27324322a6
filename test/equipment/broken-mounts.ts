import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findTestProgram, type TestProgram, testProgramEnvironment } from "../../scripts/test-servers.ts";
import { startMountServer } from "./mount-server.ts";

/** Runs a program and returns its output; throws with what it said when it fails. */
export function runTool(...argv: readonly [string, ...string[]]): string {
  const [name, ...rest] = argv;
  const program = findTestProgram(name as TestProgram) ?? name;
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...testProgramEnvironment() };
  const { exitCode, stdout, stderr } = Bun.spawnSync([program, ...rest], { env });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${stderr}`);
  return stdout.toString();
}

/** Starts a program that may hang; it is killed at the end of the scope. */
export function startTool(...argv: readonly string[]): Disposable & { readonly exitCode: number | null } {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  return {
    get exitCode() {
      return child.exitCode;
    },
    [Symbol.dispose]: () => child.kill("SIGKILL"),
  };
}

export interface FuseMount extends Disposable {
  readonly mountPoint: string;
  /** Requests of this kind are held back from the moment that the promise resolves. */
  hang(operation: "statfs" | "getattr" | "opendir" | "readdir"): Promise<void>;
  /** Answers what was held back and everything from then on. */
  answer(): Promise<void>;
  /** Ends the server: the kernel aborts the connection. */
  crash(): Promise<void>;
}

/** See fuse-server.ts. */
export async function mountFuse(mountPoint: string): Promise<FuseMount> {
  mkdirSync(mountPoint, { recursive: true });
  const server = await startMountServer("fuse-server.ts", mountPoint);
  return {
    mountPoint,
    hang: (operation) => server.tell(`hang ${operation}`),
    answer: () => server.tell("answer"),
    crash: () => server.crash(),
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}

export interface LoopMount extends Disposable {
  readonly mountPoint: string;
  /** "loop3" */
  readonly device: string;
}

const imageMiB = { ext4: 32, xfs: 320 };

/** A filesystem of the real kind on a sparse image file. */
export function mountImage(folder: string, name: string, fstype: "ext4" | "xfs", options = "loop"): LoopMount {
  const image = join(folder, `${name}.img`);
  const mountPoint = join(folder, name);
  mkdirSync(mountPoint, { recursive: true });
  writeFileSync(image, "");
  runTool("truncate", "-s", `${imageMiB[fstype]}M`, image);
  runTool(`mkfs.${fstype}`, fstype === "ext4" ? "-qF" : "-qf", image);
  runTool("mount", "-o", options, image, mountPoint);
  const source = runTool("findmnt", "-no", "SOURCE", mountPoint).trim();
  return {
    mountPoint,
    device: source.replace("/dev/", ""),
    [Symbol.dispose]: () => {
      Bun.spawnSync(["fsfreeze", "-u", mountPoint], { stderr: "ignore" });
      Bun.spawnSync(["umount", "-l", mountPoint], { stderr: "ignore" });
    },
  };
}

export interface Automount extends Disposable {
  readonly mountPoint: string;
  /** How often the kernel has asked for something to be mounted. */
  triggered(): number;
}

/** See autofs-server.ts. */
export async function mountAutofs(mountPoint: string): Promise<Automount> {
  mkdirSync(mountPoint, { recursive: true });
  const server = await startMountServer("autofs-server.ts", mountPoint, { detached: true });
  return {
    mountPoint,
    triggered: () => server.count("triggered"),
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}
