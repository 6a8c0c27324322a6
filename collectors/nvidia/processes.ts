import { readTextIfPresent } from "../read.ts";
import type { DeviceCaller } from "./caller.ts";
import type { ProcessReading } from "./reading.ts";
import type { NvmlFunction } from "./signatures.ts";

/** nvmlProcessInfo_t of the _v3 functions. */
const layout = { bytes: 24, pid: 0, used: 8 };
const room = 512;
/** Published per GPU: those with the most memory. */
const processesMost = 64;
const notAvailable = 0xffffffffffffffffn;

const lists: readonly { readonly type: ProcessReading["type"]; readonly call: NvmlFunction }[] = [
  { type: "compute", call: "nvmlDeviceGetComputeRunningProcesses_v3" },
  { type: "graphics", call: "nvmlDeviceGetGraphicsRunningProcesses_v3" },
];

export interface Processes {
  readonly processes: readonly ProcessReading[];
  readonly processCount: Readonly<Record<ProcessReading["type"], number | undefined>>;
}

/** What runs on a device and the memory it holds there. */
export function readProcesses(device: DeviceCaller, procPath: string): Processes {
  const processCount: Record<ProcessReading["type"], number | undefined> = { compute: undefined, graphics: undefined };
  const found: Omit<ProcessReading, "command">[] = [];
  for (const { type, call } of lists) {
    const list = readList(device, call);
    processCount[type] = list?.length;
    // A process with compute and graphics contexts stands in both lists with the same memory; the first one counts.
    for (const entry of list ?? []) {
      if (!found.some(({ pid }) => pid === entry.pid)) found.push({ ...entry, type });
    }
  }
  const processes = found
    .sort((a, b) => (b.usedBytes ?? 0) - (a.usedBytes ?? 0))
    .slice(0, processesMost)
    .map((process) => ({ ...process, command: readCommand(procPath, process.pid) }));
  return { processes, processCount };
}

const buffer = Buffer.alloc(room * layout.bytes);

function readList(device: DeviceCaller, call: NvmlFunction): Pick<ProcessReading, "pid" | "usedBytes">[] | undefined {
  const count = new Uint32Array([room]);
  if (!device.try(call, count, buffer)) return undefined;
  return Array.from({ length: Math.min(count[0] ?? 0, room) }, (_, index) => {
    const used = buffer.readBigUInt64LE(index * layout.bytes + layout.used);
    const pid = buffer.readUInt32LE(index * layout.bytes + layout.pid);
    return { pid, usedBytes: used === notAvailable ? undefined : Number(used) };
  });
}

/** The kernel's short name, which unlike the command line is read without waiting for the process. */
function readCommand(procPath: string, pid: number): string {
  try {
    return readTextIfPresent(`${procPath}/${pid}/comm`)?.trim() ?? "";
  } catch (error) {
    // It ended in between, or is in another name space: the memory counts all the same.
    if (typeof (error as NodeJS.ErrnoException).code === "string") return "";
    throw error;
  }
}
