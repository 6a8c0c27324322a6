import { type CommandDef, defineCommand } from "citty";
import { selfCommand } from "../../runtime/self.ts";
import type { Logger } from "../../runtime/log.ts";
import { createProbePool, type ProbePool } from "../probe/pool.ts";
import { serveJobs } from "../probe/worker.ts";
import { type Disk, listDisks } from "./disks.ts";

const deadlineMs = 10_000;

/** `aami probe disks`: lists the disks of sysfs, where a sick driver may let a read wait. */
export const disksProbeCommand: CommandDef = defineCommand({
  meta: { description: "Lists the disks of this machine for the SMART collector." },
  run: () =>
    serveJobs((setup) => {
      const { sysPath } = setup as { sysPath: string };
      return { disks: () => ({ header: { disks: listDisks(sysPath) } }) };
    }),
});

/** Asks a process that lives for this one question: an idle one would cost more than a new one every half minute. */
export function createDiskLister(sysPath: string, log: Logger): { list(): Promise<readonly Disk[]>; close(): void } {
  const command = selfCommand("probe", "disks");
  let pool: ProbePool | undefined;
  return {
    list: async () => {
      // The pool of a question that was not answered is kept: it knows what is stuck, and starts no second process.
      pool ??= createProbePool({ name: "disks", command, setup: { sysPath }, log });
      const outcome = await pool.run("disks", {}, { deadlineMs });
      if (outcome.status !== "done") {
        throw new Error(outcome.status === "failed" ? outcome.error : `listing the disks: ${outcome.status}`);
      }
      pool.close();
      pool = undefined;
      return outcome.header["disks"] as Disk[];
    },
    close: () => pool?.close(),
  };
}
