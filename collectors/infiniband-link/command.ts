import { type CommandDef, defineCommand } from "citty";
import { selfCommand } from "../../runtime/self.ts";
import type { Logger } from "../../runtime/log.ts";
import { createProbePool, type ProbePool } from "../probe/pool.ts";
import { serveJobs } from "../probe/worker.ts";
import { createSystemHost } from "../system-host.ts";
import { listPorts, type PortReading } from "./ports.ts";

const deadlineMs = 10_000;

/** `aami probe infiniband`: state of the ports, which the driver asks its firmware for. */
export const infinibandProbeCommand: CommandDef = defineCommand({
  meta: { description: "State of the InfiniBand and RoCE ports for the link collector." },
  run: () =>
    serveJobs((setup) => {
      const { sysPath } = setup as { sysPath: string };
      const paths = { procPath: "/proc", sysPath, rootPath: "/", udevDataPath: "/run/udev/data" };
      // A file that cannot be read is the infiniband collector's to tell.
      const host = createSystemHost(paths, () => {});
      return { ports: () => ({ header: { ports: listPorts(host) } }) };
    }),
});

export interface PortLister {
  /** Rejects when the ports cannot be read in time. */
  list(): Promise<readonly PortReading[]>;
  close(): void;
}

/** A process for each question: an idle one between them would cost its memory. */
export function createPortLister(sysPath: string, log: Logger): PortLister {
  const command = selfCommand("probe", "infiniband");
  let pool: ProbePool | undefined;
  return {
    list: async () => {
      // The pool of a question that was not answered is kept: it knows what is stuck, and starts no second process.
      pool ??= createProbePool({ name: "infiniband", command, setup: { sysPath }, log });
      const outcome = await pool.run("ports", {}, { deadlineMs });
      if (outcome.status !== "done") {
        throw new Error(outcome.status === "failed" ? outcome.error : `reading the ports: ${outcome.status}`);
      }
      pool.close();
      pool = undefined;
      return outcome.header["ports"] as PortReading[];
    },
    close: () => pool?.close(),
  };
}
