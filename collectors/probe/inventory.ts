import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import si from "systeminformation";
import type { Inventory } from "../../protocol/registration.ts";

/** What `aami probe inventory` prints, one JSON object a line, each as soon as it is known. */
export type InventoryPart =
  | { readonly part: keyof Inventory | "cloud"; readonly value: unknown }
  | { readonly part: string; readonly error: string };

export interface InventoryProbeOptions {
  readonly print: (line: string) => void;
  readonly root?: string;
}

/**
 * The body of `aami probe inventory`. systeminformation starts a dozen programs, any of which may hang on sick hardware:
 * so it runs here, in a process that the daemon gives up on, and every part is printed without waiting for the others.
 */
export async function runInventoryProbe({ print, root = "/" }: InventoryProbeOptions): Promise<void> {
  const parts: Record<string, () => Promise<unknown>> = {
    cloud: async () => readCloud(root),
    gpus: async () => listGpus(root),
    memory_bytes: async () => (await si.mem()).total,
    os: readOs,
    cpu: readCpu,
    networks: readNetworks,
    disks: readDisks,
    system: readSystem,
  };
  const answers = Object.entries(parts).map(async ([part, read]) => {
    try {
      print(JSON.stringify({ part, value: await read() }));
    } catch (error) {
      print(JSON.stringify({ part, error: error instanceof Error ? error.message : String(error) }));
    }
  });
  await Promise.all(answers);
  // After the quick list, because nvidia-smi is the slowest of all and adds only names.
  const named = await nameGpus(listGpus(root));
  if (named.length > 0) print(JSON.stringify({ part: "gpus", value: named }));
}

async function readOs(): Promise<unknown> {
  const { platform, distro, release, codename, kernel, arch, uefi } = await si.osInfo();
  return compact({ platform, distro, release, codename, kernel, arch, uefi });
}

async function readCpu(): Promise<unknown> {
  const { manufacturer, brand, family, model, cores, physicalCores, processors, speedMax } = await si.cpu();
  return compact({
    manufacturer,
    brand,
    family,
    model,
    threads: cores,
    cores: physicalCores,
    sockets: processors,
    max_hertz: speedMax ? speedMax * 1e9 : undefined,
  });
}

async function readNetworks(): Promise<unknown> {
  const interfaces = await si.networkInterfaces("*");
  return [interfaces]
    .flat()
    .filter(({ internal }) => !internal)
    .slice(0, 256)
    .map(({ iface, mac, ip4, ip6, mtu, speed, operstate, virtual, default: isDefault }) =>
      compact({
        name: iface,
        mac,
        ip4,
        ip6,
        mtu: mtu ?? undefined,
        speed_bits_per_second: speed !== null && speed > 0 ? speed * 1e6 : undefined,
        state: operstate,
        virtual,
        default: isDefault,
      }),
    );
}

async function readDisks(): Promise<unknown> {
  const disks = await si.diskLayout();
  return disks.slice(0, 256).map(({ device, type, vendor, name, size, interfaceType, serialNum, firmwareRevision }) =>
    compact({
      device,
      type,
      vendor,
      name,
      size_bytes: size,
      interface: interfaceType,
      serial: serialNum,
      firmware: firmwareRevision,
    }),
  );
}

async function readSystem(): Promise<unknown> {
  const { manufacturer, model, version, serial, sku, virtual, virtualHost } = await si.system();
  return compact({ manufacturer, model, version, serial, sku, virtual, virtual_host: virtualHost });
}

interface Gpu {
  readonly pci_bus_id: string;
  readonly vendor_id: string;
  readonly device_id: string;
  readonly model?: string;
}

// PCI classes: 03 display, 12 processing accelerator. Of the displays only those vendors, because every server has a
// graphics chip on its management controller.
function listGpus(root: string): Gpu[] {
  const devices = join(root, "sys/bus/pci/devices");
  const read = (address: string, file: string) => readFileSync(join(devices, address, file), "utf8").trim();
  return listDirectory(devices).flatMap((address) => {
    const deviceClass = read(address, "class");
    const vendor = read(address, "vendor");
    const isGpu = /^0x12/.test(deviceClass) || (/^0x03/.test(deviceClass) && ["0x10de", "0x1002"].includes(vendor));
    return isGpu ? [{ pci_bus_id: address, vendor_id: vendor, device_id: read(address, "device") }] : [];
  });
}

async function nameGpus(gpus: readonly Gpu[]): Promise<Gpu[]> {
  if (gpus.length === 0) return [];
  const { controllers } = await si.graphics();
  return gpus.map((gpu) => {
    const known = controllers.find(
      ({ busAddress }) => busAddress !== undefined && gpu.pci_bus_id.endsWith(busAddress.toLowerCase()),
    );
    return known?.model ? { ...gpu, model: known.model } : gpu;
  });
}

/** The standard part of cloud-init's instance data; the rest of that file is not for everyone. */
function readCloud(root: string): Record<string, string> {
  const text = readOptional(join(root, "run/cloud-init/instance-data.json"));
  if (text === undefined) return {};
  const v1 = (JSON.parse(text) as { v1?: Record<string, unknown> }).v1 ?? {};
  const fields = {
    cloud: "cloud_name",
    instance_id: "instance_id",
    instance_type: "machine_type",
    region: "region",
    zone: "availability_zone",
  };
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, key]) => {
      const value = v1[key] ?? (name === "instance_type" ? v1["instance_type"] : undefined);
      return typeof value === "string" && value !== "" ? [[name, value.slice(0, 1024)]] : [];
    }),
  );
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // a machine without PCI
    throw error;
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function compact(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );
}
