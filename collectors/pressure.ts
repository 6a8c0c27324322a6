import { Type } from "@sinclair/typebox";
import { defineCollector, NoDataError } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber } from "./fields.ts";
import { isErrno, readTextIfPresent } from "./read.ts";

/** Pressure stall information, Documentation/accounting/psi.rst: since Linux 4.20, irq since 6.1. */
export const pressure = defineCollector({
  name: "pressure",
  description: "Time lost waiting for CPU, memory and I/O from /proc/pressure.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      let failure: unknown;
      for (const [resource, parts] of Object.entries(resources)) {
        try {
          const text = readPressure(`${host.procPath}/pressure/${resource}`);
          if (text === undefined) continue;
          for (const [part, name, help] of parts) out.counter(name, help, parseTotalSeconds(text, part));
        } catch (error) {
          if (error instanceof NoDataError) throw error;
          host.skipped(`pressure/${resource}`, error);
          failure = error;
        }
      }
      const families = out.list();
      if (families.length === 0 && failure !== undefined) throw failure;
      if (families.length === 0) throw new NoDataError("no pressure stall information (Linux 4.20, CONFIG_PSI)");
      return families;
    },
  }),
});

type Part = readonly [part: "some" | "full", name: string, help: string];

// "full" has no meaning for the CPU as a whole, and interrupts have no "some".
const resources: Readonly<Record<string, readonly Part[]>> = {
  cpu: [["some", "node_pressure_cpu_waiting_seconds_total", waited("for CPU time")]],
  io: [
    ["some", "node_pressure_io_waiting_seconds_total", waited("due to IO congestion")],
    ["full", "node_pressure_io_stalled_seconds_total", stalled("IO")],
  ],
  memory: [
    ["some", "node_pressure_memory_waiting_seconds_total", waited("for memory")],
    ["full", "node_pressure_memory_stalled_seconds_total", stalled("memory")],
  ],
  irq: [["full", "node_pressure_irq_stalled_seconds_total", stalled("IRQ")]],
};

function waited(reason: string): string {
  return `Total time in seconds that processes have waited ${reason}`;
}

function stalled(resource: string): string {
  return `Total time in seconds no process could make progress due to ${resource} congestion`;
}

function readPressure(path: string): string | undefined {
  try {
    return readTextIfPresent(path);
  } catch (error) {
    // The files are there, but reading them fails, when the kernel was started with psi=0.
    if (isErrno(error, "EOPNOTSUPP", "ENOTSUP")) throw new NoDataError("pressure stall information is off (psi=1)");
    throw error;
  }
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`, in microseconds. */
export function parseTotalSeconds(text: string, part: "some" | "full"): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${part} `));
  const total = line?.split("total=")[1];
  return parseNumber(total) / 1000 / 1000;
}
