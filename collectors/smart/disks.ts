import { realpathSync } from "node:fs";
import { listIfPresent, parseDecimal, readTextIfPresent } from "../read.ts";

/** A disk as the kernel shows it, without a command sent to it. Plain data: it travels from the probe process. */
export interface Disk {
  /** "sda"; for NVMe the controller, "nvme0". */
  readonly name: string;
  /** What smartctl is given. */
  readonly path: string;
  readonly rotational: boolean;
  /** NVMe: live, resetting, connecting, deleting, dead. SCSI: running, offline, …. Undefined when not told. */
  readonly state: string | undefined;
  /** Requests served since boot; tells a sleeping disk from one that only says so. Undefined when not told. */
  readonly requests: number | undefined;
  /** Runtime power management has put it to sleep: opening it would wake it. */
  readonly suspended: boolean;
  /** Of an NVMe controller, as node_exporter names them: "nvme0n1". */
  readonly namespaces: readonly string[];
}

/** Disks of the SCSI and ATA layers; virtual ones (virtio, loop, dm, md, zram) have no SMART. */
const scsiDisk = /^(sd[a-z]+|hd[a-t])$/;
const nvmeController = /^nvme\d+$/;
/** SAN and iSCSI volumes answer for a storage array, not for a disk of this machine. */
const foreignTransport = /\/(session\d+|rport-\d)/;

/** Every disk of this machine that may have SMART. Reads sysfs, so it belongs into a probe process. */
export function listDisks(sysPath: string): Disk[] {
  const scsi = listIfPresent(`${sysPath}/block`)
    .filter((name) => scsiDisk.test(name) && !isForeign(`${sysPath}/block/${name}/device`))
    .map((name) => readScsiDisk(sysPath, name));
  const nvme = listIfPresent(`${sysPath}/class/nvme`)
    .filter((name) => nvmeController.test(name))
    .map((name) => readNvmeController(sysPath, name));
  return [...scsi, ...nvme];
}

function readScsiDisk(sysPath: string, name: string): Disk {
  const folder = `${sysPath}/block/${name}`;
  return {
    name,
    path: `/dev/${name}`,
    rotational: readTextIfPresent(`${folder}/queue/rotational`)?.trim() === "1",
    state: readTextIfPresent(`${folder}/device/state`)?.trim(),
    requests: countRequests(readTextIfPresent(`${folder}/stat`)),
    suspended: readTextIfPresent(`${folder}/device/power/runtime_status`)?.trim() === "suspended",
    namespaces: [],
  };
}

function readNvmeController(sysPath: string, name: string): Disk {
  const state = readTextIfPresent(`${sysPath}/class/nvme/${name}/state`)?.trim();
  // With multipath the controller's entry is called nvme0c0n1, and the disk above it nvme0n1.
  const namespaces = listIfPresent(`${sysPath}/class/nvme/${name}`).flatMap((entry) => {
    const [, subsystem, namespace] = /^(nvme\d+)(?:c\d+)?(n\d+)$/.exec(entry) ?? [];
    return subsystem === undefined || namespace === undefined ? [] : [`${subsystem}${namespace}`];
  });
  const quiet = { rotational: false, requests: undefined, suspended: false };
  return { name, path: `/dev/${name}`, state, namespaces, ...quiet };
}

/** Completed reads and writes: fields 1 and 5 of the kernel's block statistics. */
function countRequests(stat: string | undefined): number | undefined {
  const fields = stat?.trim().split(/\s+/) ?? [];
  const reads = parseDecimal(fields[0] ?? "");
  const writes = parseDecimal(fields[4] ?? "");
  return reads === undefined || writes === undefined ? undefined : reads + writes;
}

function isForeign(link: string): boolean {
  try {
    return foreignTransport.test(realpathSync(link));
  } catch {
    return false; // gone between the listing and now; the next inventory does not list it
  }
}
