import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What tells one machine from its clones. A field is absent where this machine has none or it may not be read. */
export interface MachineIds {
  /** /etc/machine-id: new for each installed system, unless an image was made without clearing it. */
  readonly machineId?: string;
  /** The cloud's instance id, as cloud-init found it at this boot. */
  readonly instanceId?: string;
  /** DMI product UUID of a virtual machine. Left out on bare metal, where a new mainboard is still the same node. */
  readonly virtualMachineUuid?: string;
}

/** Only small local files: safe in the daemon process. */
export function readMachineIds(root = "/"): MachineIds {
  const machineId = readId(join(root, "etc/machine-id"));
  // Under /run it is of this boot; the copy under /var/lib/cloud may still be that of the machine the image came from.
  const instanceId = readId(join(root, "run/cloud-init/.instance-id"));
  const virtualMachineUuid = isVirtual(root) ? readId(join(root, "sys/class/dmi/id/product_uuid")) : undefined;
  return {
    ...(machineId !== undefined && { machineId }),
    ...(instanceId !== undefined && { instanceId }),
    ...(virtualMachineUuid !== undefined && { virtualMachineUuid }),
  };
}

/** New at every boot of the kernel. */
export function readBootId(root = "/"): string | undefined {
  return readId(join(root, "proc/sys/kernel/random/boot_id"));
}

/** The ids that both know and that differ. What one of them does not know proves nothing. */
export function differingIds(stored: MachineIds, present: MachineIds): (keyof MachineIds)[] {
  const names = ["machineId", "instanceId", "virtualMachineUuid"] as const;
  return names.filter((name) => {
    const [before, now] = [stored[name], present[name]];
    return before !== undefined && now !== undefined && before !== now;
  });
}

function isVirtual(root: string): boolean {
  return /^flags\s*:.*\bhypervisor\b/m.test(readOptional(join(root, "proc/cpuinfo")) ?? "");
}

// "uninitialized" is what an image carries until the first boot sets its id.
function readId(path: string): string | undefined {
  const id = readOptional(path)?.trim().toLowerCase();
  return id === undefined || id === "" || id === "uninitialized" ? undefined : id;
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "EACCES", "EPERM", "ENOTDIR", "EIO"].includes(code)) return undefined;
    throw error;
  }
}
