import { readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import type { Host } from "../host.ts";
import { errnoOf, isErrno, listIfPresent, parseDecimal, readTextIfPresent } from "../read.ts";
import { type GpuMetrics, GpuMetricsError, parseGpuMetrics } from "./gpu-metrics.ts";

/** A physical GPU of the amdgpu driver. */
export interface AmdGpu {
  /** Position by PCI address: what the `gpu_id` label says. */
  readonly index: number;
  readonly pciBusId: string;
  /** Trimmed text of a file of the device; undefined when it is not there, or not on this board, or not now. */
  text(file: string): string | undefined;
  number(file: string): number | undefined;
  /** Folder of the driver's hwmon, relative to the device. */
  readonly hwmon: string | undefined;
  /** Entries of a folder of the device. */
  entries(folder: string): string[];
  metrics(): GpuMetrics | undefined;
  /** Reading a GPU that sleeps would wake it, and its error counters then read as nonsense. */
  readonly isSuspended: boolean;
}

const amdVendor = "0x1002";
/** The driver's ways to say that a board has no such sensor. */
const notOnThisBoard = ["EINVAL", "EOPNOTSUPP", "ENODATA", "ENODEV"];

export function listAmdGpus(host: Host): AmdGpu[] {
  const drm = `${host.sysPath}/class/drm`;
  const byAddress = new Map<string, string>();
  for (const name of listIfPresent(drm)) {
    const path = `${drm}/${name}/device`;
    // Outputs are called card0-DP-1; partitions have nodes of their own without sensors, on a platform device.
    if (!/^card\d+$/.test(name) || readTextIfPresent(`${path}/vendor`)?.trim() !== amdVendor) continue;
    const [driver, address] = [target(`${path}/driver`), target(path)];
    if (driver === "amdgpu" && address !== undefined) byAddress.set(address, path);
  }
  return [...byAddress]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, path], index) => open(host, { address, path, index }));
}

function target(link: string): string | undefined {
  try {
    return basename(realpathSync(link));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined; // no driver, or gone since the folder was listed
    throw error;
  }
}

function open(host: Host, { address, path, index }: { address: string; path: string; index: number }): AmdGpu {
  const text = (file: string): string | undefined => {
    try {
      return readTextIfPresent(`${path}/${file}`)?.trim();
    } catch (error) {
      if (!notOnThisBoard.includes(errnoOf(error) ?? "")) host.skipped(`${path}/${file}`, error);
      return undefined;
    }
  };
  const number = (file: string): number | undefined => {
    const found = text(file);
    const value = found === undefined ? undefined : parseDecimal(found);
    if (found !== undefined && value === undefined)
      host.skipped(`${path}/${file}`, new Error(`not a number: ${found}`));
    return value;
  };
  const hwmon = listIfPresent(`${path}/hwmon`).find((name) => text(`hwmon/${name}/name`) === "amdgpu");
  return {
    index,
    pciBusId: address,
    text,
    number,
    hwmon: hwmon === undefined ? undefined : `hwmon/${hwmon}`,
    entries: (folder) => listIfPresent(`${path}/${folder}`),
    metrics: () => readMetrics(host, `${path}/gpu_metrics`),
    isSuspended: text("power/runtime_status") === "suspended",
  };
}

function readMetrics(host: Host, path: string): GpuMetrics | undefined {
  try {
    return parseGpuMetrics(readFileSync(path));
  } catch (error) {
    if (isErrno(error, "ENOENT", ...notOnThisBoard)) return undefined;
    if (!(error instanceof GpuMetricsError) && errnoOf(error) === undefined) throw error;
    host.skipped(path, error);
    return undefined;
  }
}
