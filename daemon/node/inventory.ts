import { Value } from "@sinclair/typebox/value";
import { Inventory } from "../../protocol/registration.ts";
import type { Logger } from "../../runtime/log.ts";

/** What could be found out in time. `cloud` are hints (provider, instance type, zone) from cloud-init. */
export interface MachineDescription {
  readonly inventory: Inventory;
  readonly cloud: Readonly<Record<string, string>>;
}

export interface TakeInventoryOptions {
  /** Usually selfCommand("probe", "inventory"). */
  readonly command: readonly string[];
  readonly deadlineMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const maxOutputBytes = 1024 * 1024;

/** Never rejects: a machine whose tools hang registers with the parts that answered. */
export async function takeInventory(options: TakeInventoryOptions): Promise<MachineDescription> {
  const output = { text: "" };
  try {
    await runProbe(options, output);
  } catch (error) {
    options.log.warn("inventory probe could not be run", { error });
  }
  return parseParts(output.text, options.log);
}

async function runProbe(
  { command, deadlineMs, signal }: TakeInventoryOptions,
  output: { text: string },
): Promise<void> {
  // A process group of its own, so that a hung nvidia-smi dies with the probe that started it.
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "ignore", detached: true });
  child.unref();
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  // A child in uninterruptible sleep keeps its pipe open after the kill: its end is not waited for.
  const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
  const giveUp = () => {
    killGroup(child.pid);
    abandon();
  };
  deadline.addEventListener("abort", giveUp, { once: true });
  if (deadline.aborted) giveUp();
  try {
    await Promise.race([readOutput(child.stdout, output), abandoned]);
  } finally {
    deadline.removeEventListener("abort", giveUp);
    killGroup(child.pid);
  }
}

async function readOutput(stream: ReadableStream<Uint8Array>, output: { text: string }): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    output.text += decoder.decode(chunk, { stream: true });
    if (output.text.length > maxOutputBytes) return;
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function parseParts(text: string, log: Logger): MachineDescription {
  const inventory: Record<string, unknown> = {};
  let cloud: Record<string, string> = {};
  const missing = new Set(["os", "cpu", "memory_bytes", "gpus", "networks", "disks", "system"]);
  for (const line of text.split("\n").slice(0, -1)) {
    const { part, value } = JSON.parse(line) as { part: string; value?: unknown };
    if (value === undefined) continue;
    if (part === "cloud") cloud = value as Record<string, string>;
    // Only what the server's schema takes: a bad part must not cost the registration.
    else if (Value.Check(Inventory, { [part]: value })) inventory[part] = value;
    else continue;
    missing.delete(part);
  }
  if (missing.size > 0) log.warn("inventory is not complete", { missing: [...missing] });
  const { virtual } = (inventory["system"] ?? {}) as { virtual?: unknown };
  return { inventory: { ...inventory, ...(typeof virtual === "boolean" && { virtual }) }, cloud };
}
