import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "../../harness/process.ts";
import { Abandon, waitFor } from "../../harness/wait.ts";
import { createWorkspace } from "../../harness/workspace.ts";
import { connectJsonSocket, type JsonSocket } from "./json-socket.ts";
import { qemuArguments } from "./qemu-arguments.ts";

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running virtual machine. Commands go through the guest agent, so they work while its network is down. */
export interface Machine extends AsyncDisposable {
  /** Runs a shell command as root, whatever it ends with. */
  try(command: string, deadlineSeconds?: number): Promise<CommandResult>;
  /** The same for a command that has to end with 0; returns its trimmed standard output. */
  run(command: string, deadlineSeconds?: number): Promise<string>;
  /** QEMU's own monitor: pulls out disks, cuts links, injects machine checks. */
  monitor(command: string, parameters?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** URL of a guest port. */
  url(port: number): string;
  /** What the serial console has shown. */
  console(): Promise<string>;
  /** Throws when the machine has ended: then no wait for it can come to anything. */
  assertRunning(): void;
  /** Ends the machine at once; whoever waits for it fails with this reason. */
  giveUp(reason: string): void;
}

export interface MachineOptions {
  readonly image: string;
  /** Shown to the guest as the read-only file system with the label `data`. */
  readonly dataFolder: string;
  readonly ports: readonly number[];
  readonly bootDeadlineSeconds: number;
}

const diskBytes = 256 * 1024 * 1024;
/** Long enough for an emulated machine on a busy host: it ends only what would never come to an end. */
const commandDeadlineSeconds = 300;

export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const workspace = createWorkspace();
  await makeDisks(workspace.path, options.dataFolder);
  const argv = qemuArguments({ image: options.image, folder: workspace.path, ports: options.ports });
  const qemu = Bun.spawn(["qemu-system-x86_64", ...argv], {
    // snapshot=on keeps what the guest writes in a nameless file there.
    env: { ...process.env, TMPDIR: workspace.path },
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(workspace.file("qemu.log")),
  });
  const readConsole = (): Promise<string> => Bun.file(workspace.file("serial.log")).text();
  let whyEnded = "";
  const assertRunning = (): void => {
    if (whyEnded !== "") throw new Abandon(whyEnded);
  };
  const ended = qemu.exited.then(async (code) => {
    whyEnded ||= `QEMU has ended with ${code}: ${await Bun.file(workspace.file("qemu.log")).text()}`;
  });
  const giveUp = (reason: string): void => {
    whyEnded ||= reason;
    qemu.kill("SIGKILL");
  };
  const stop = async (): Promise<void> => {
    giveUp("the machine was stopped");
    await ended;
    workspace[Symbol.dispose]();
  };
  try {
    const connect = (name: string): Promise<JsonSocket> =>
      waitFor(
        `QEMU's ${name}`,
        () => {
          assertRunning();
          return connectJsonSocket(workspace.file(name));
        },
        { deadlineSeconds: 60 },
      );
    const monitor = await connect("qmp.sock");
    await monitor.call("qmp_capabilities");
    const forwards = await readForwards(monitor);
    const agent = await connect("agent.sock");
    await waitForAgent(agent, { assertRunning, readConsole, deadlineSeconds: options.bootDeadlineSeconds });
    const execute = (command: string, deadlineSeconds = commandDeadlineSeconds): Promise<CommandResult> => {
      assertRunning();
      return runInGuest({ agent, assertRunning }, command, deadlineSeconds);
    };
    return {
      try: execute,
      run: async (command, seconds) => {
        const { exitCode, stdout, stderr } = await execute(command, seconds);
        if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}: ${stderr || stdout}`);
        return stdout.trim();
      },
      monitor: (command, parameters) => monitor.call(command, parameters),
      url: (port) => `http://127.0.0.1:${forwards.get(port)}`,
      console: readConsole,
      assertRunning,
      giveUp,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Host port by guest port, from lines such as "TCP[HOST_FORWARD] 3 127.0.0.1 45541 10.0.2.15 9100 0 0". */
async function readForwards(monitor: JsonSocket): Promise<ReadonlyMap<number, number>> {
  const table = String(await monitor.call("human-monitor-command", { "command-line": "info usernet" }));
  const lines = table.matchAll(/HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+[\d.]+\s+(\d+)/g);
  return new Map([...lines].map(([, host, guest]) => [Number(guest), Number(host)]));
}

interface Boot {
  readonly assertRunning: () => void;
  readonly readConsole: () => Promise<string>;
  readonly deadlineSeconds: number;
}

/** What is sent before the agent runs is lost, so it is asked again and again. */
async function waitForAgent(agent: JsonSocket, { assertRunning, readConsole, deadlineSeconds }: Boot): Promise<void> {
  const ping = async (): Promise<boolean> => {
    assertRunning();
    await agent.call("guest-ping", {}, 2);
    return true;
  };
  try {
    await waitFor("the guest to boot", ping, { deadlineSeconds });
  } catch (cause) {
    throw new Error(`the guest did not boot; its console:\n${(await readConsole()).slice(-3000)}`, { cause });
  }
}

async function makeDisks(folder: string, dataFolder: string): Promise<void> {
  for (const name of ["nvme0.img", "sata0.img"]) {
    writeFileSync(join(folder, name), "");
    truncateSync(join(folder, name), diskBytes);
  }
  const image = join(folder, "data.img");
  const { exitCode, stderr } = await runProcess(
    ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "data", "-d", dataFolder, image, "256M"],
    {},
  );
  if (exitCode !== 0) throw new Error(`mke2fs: ${stderr}`);
}

interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly "out-data"?: string;
  readonly "err-data"?: string;
}

interface Guest {
  readonly agent: JsonSocket;
  readonly assertRunning: () => void;
}

async function runInGuest(
  { agent, assertRunning }: Guest,
  command: string,
  deadlineSeconds: number,
): Promise<CommandResult> {
  const program = {
    path: "/bin/bash",
    arg: ["-c", command],
    env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "capture-output": true,
  };
  const { pid } = (await agent.call("guest-exec", program, deadlineSeconds)) as { pid: number };
  const status = await waitFor(
    `the guest to end: ${command}`,
    async () => {
      assertRunning();
      const now = (await agent.call("guest-exec-status", { pid })) as ExecStatus;
      return now.exited && now;
    },
    { deadlineSeconds },
  );
  return {
    exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
    stdout: decode(status["out-data"]),
    stderr: decode(status["err-data"]),
  };
}

const decode = (data = ""): string => Buffer.from(data, "base64").toString();
