import { join } from "node:path";
import { projectRoot } from "../../scripts/terminal.ts";
import type { Machine } from "./lab/machine.ts";
import type { Node } from "./node.ts";

const logFolder = join(projectRoot, ".cache/log");
const journalLines = 25;
const consoleLines = 12;

export interface Scene {
  readonly machine: Machine;
  readonly node: Node;
}

/** What stands under a check that failed: the ends of the daemon's log and of the console, and where the page is kept. */
export async function collectEvidence({ machine, node }: Scene, check: string): Promise<string> {
  const file = join(logFolder, `vm-page-${check.replace(/[^\w]+/g, "-")}.prom`);
  const parts = await Promise.all([
    described("the daemon's log", async () => lastLines(await machine.run(journalTail, 60), journalLines)),
    described("the console", async () => lastLines(Bun.stripANSI(await machine.console()), consoleLines)),
    described("the page", async () => {
      await Bun.write(file, await node.page());
      return `kept in ${file}`;
    }),
  ]);
  return parts.join("\n");
}

const journalTail = `journalctl -u aami -o cat --no-pager -n ${journalLines}`;

/** Everything, for reading after the run; of a machine that has ended, its console. */
export async function keepLogs({ machine, node }: Scene): Promise<void> {
  await Bun.write(join(logFolder, "vm-console.log"), await machine.console());
  await Bun.write(join(logFolder, "vm-daemon.log"), await described("the daemon's log", () => node.journal()));
}

async function described(what: string, read: () => Promise<string>): Promise<string> {
  return `-- ${what}:\n${await read().catch((error: unknown) => `cannot be had: ${String(error)}`)}`;
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
