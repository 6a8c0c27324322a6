import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Workspace } from "../harness/workspace.ts";

export interface RecordedHost {
  /** The path of a file below the host's root, "proc/loadavg". */
  file(path: string): string;
  /** Writes a file of the host. */
  put(path: string, content: string | Uint8Array): void;
  /** Command-line flags that make a daemon read this host. */
  readonly flags: readonly string[];
}

const sensors = { name: "nct6779", temp1_input: "41000", temp2_input: "38500", fan1_input: "1200" };
const portCounters = { port_xmit_data: "11", port_rcv_data: "12", symbol_error: "0", link_downed: "1" };

/**
 * A copy of the recorded host test/fixtures/host-basic, with a hardware monitor and an InfiniBand port beside it. The
 * filesystem collector is off: the recorded mount table is another machine's.
 */
export function createRecordedHost(workspace: Workspace, name = "host"): RecordedHost {
  const root = workspace.file(name);
  cpSync(join(import.meta.dir, "../fixtures/host-basic"), root, { recursive: true });
  const file = (path: string): string => join(root, path);
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(file(path)), { recursive: true });
    writeFileSync(file(path), content);
  };
  for (const [name, value] of Object.entries(sensors)) put(`sys/class/hwmon/hwmon0/${name}`, `${value}\n`);
  const device = "sys/class/infiniband/mlx5_0";
  put(`${device}/hca_type`, "MT4129\n");
  put(`${device}/ports/1/state`, "4: ACTIVE\n");
  put(`${device}/ports/1/rate`, "400 Gb/sec (4X NDR)\n");
  for (const [name, value] of Object.entries(portCounters)) put(`${device}/ports/1/counters/${name}`, `${value}\n`);
  return {
    file,
    put,
    flags: [
      `--path.procfs=${file("proc")}`,
      `--path.sysfs=${file("sys")}`,
      `--path.rootfs=${root}`,
      `--path.udev.data=${file("run/udev/data")}`,
      "--no-collector.filesystem",
    ],
  };
}
