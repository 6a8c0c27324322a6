import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../../scripts/free-port.ts";
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
}

export interface MachineOptions {
  readonly image: string;
  /** Shown to the guest as the read-only file system with the label `data`. */
  readonly dataFolder: string;
  readonly ports: readonly number[];
  readonly bootDeadlineSeconds: number;
}

const diskBytes = 256 * 1024 * 1024;

export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const workspace = createWorkspace();
  const forwards: Record<number, number> = {};
  for (const port of options.ports) forwards[port] = await freePort();
  await makeDisks(workspace.path, options.dataFolder);
  const argv = qemuArguments({ image: options.image, folder: workspace.path, forwards });
  const qemu = Bun.spawn(["qemu-system-x86_64", ...argv], {
    // snapshot=on keeps what the guest writes in a nameless file there.
    env: { ...process.env, TMPDIR: workspace.path },
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(workspace.file("qemu.log")),
  });
  const readConsole = (): Promise<string> => Bun.file(workspace.file("serial.log")).text();
  const stop = async (): Promise<void> => {
    qemu.kill("SIGKILL");
    await qemu.exited;
    workspace[Symbol.dispose]();
  };
  try {
    const alive = async (): Promise<void> => {
      if (qemu.exitCode === null) return;
      throw new Abandon(`QEMU ended with ${qemu.exitCode}: ${await Bun.file(workspace.file("qemu.log")).text()}`);
    };
    const connect = (name: string): Promise<JsonSocket> =>
      waitFor(`QEMU's ${name}`, async () => alive().then(() => connectJsonSocket(workspace.file(name))));
    const monitor = await connect("qmp.sock");
    await monitor.call("qmp_capabilities");
    const agent = await connect("agent.sock");
    const deadlineSeconds = options.bootDeadlineSeconds;
    // What is sent before the agent runs is lost, so it is asked again and again.
    await waitFor("the guest to boot", () => alive().then(() => agent.call("guest-ping", {}, 2)), {
      deadlineSeconds,
    }).catch(async (cause: unknown) => {
      throw new Error(`the guest did not boot; its console:\n${(await readConsole()).slice(-3000)}`, { cause });
    });
    const execute = (command: string, seconds = 120): Promise<CommandResult> => runInGuest(agent, command, seconds);
    return {
      try: execute,
      run: async (command, seconds) => {
        const { exitCode, stdout, stderr } = await execute(command, seconds);
        if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}: ${stderr || stdout}`);
        return stdout.trim();
      },
      monitor: (command, parameters) => monitor.call(command, parameters),
      url: (port) => `http://127.0.0.1:${forwards[port]}`,
      console: readConsole,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
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

async function runInGuest(agent: JsonSocket, command: string, deadlineSeconds: number): Promise<CommandResult> {
  const { pid } = (await agent.call("guest-exec", {
    path: "/bin/bash",
    arg: ["-c", command],
    env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "capture-output": true,
  })) as { pid: number };
  const status = await waitFor(
    `the guest to end: ${command}`,
    async () => {
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
