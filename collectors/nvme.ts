import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
const namespaceInfo = gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1");
const capacity = gauge(
  "node_nvme_namespace_capacity_bytes",
  "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
);
const size = gauge(
  "node_nvme_namespace_size_bytes",
  "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
);
const used = gauge(
  "node_nvme_namespace_used_bytes",
  "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
);
const blockSize = gauge(
  "node_nvme_namespace_logical_block_size_bytes",
  "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
);

/** The kernel states a block device's size in these, whatever its logical block size. */
const sectorBytes = 512;

export const nvme = defineCollector({
  name: "nvme",
  description: "NVMe controllers and their namespaces from /sys/class/nvme.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/class/nvme`, "no NVMe device"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/class/nvme`;
      for (const device of listIfPresent(folder)) addController(host, families, device, `${folder}/${device}`);
      return families.list();
    },
  }),
});

function addController(host: Host, families: FamilySet, device: string, path: string): void {
  const read = (attribute: string): string => readAttribute(host, `${path}/${attribute}`)?.trim() ?? "";
  const labels = {
    device,
    firmware_revision: read("firmware_rev"),
    model: read("model"),
    serial: read("serial"),
    state: read("state"),
    cntlid: read("cntlid"),
  };
  families.add(info, labels, 1);
  for (const entry of listIfPresent(path)) {
    const nsid = /^nvme\d+n(\d+)$/.exec(entry)?.[1];
    if (nsid !== undefined) addNamespace(host, families, { device, nsid }, `${path}/${entry}`);
  }
}

function addNamespace(
  host: Host,
  families: FamilySet,
  labels: { readonly device: string; readonly nsid: string },
  path: string,
): void {
  const state = readAttribute(host, `${path}/ana_state`)?.trim() ?? "unknown";
  const sectors = readNumber(host, `${path}/size`);
  const bytes = sectors === undefined ? undefined : sectors * sectorBytes;
  const block = readNumber(host, `${path}/queue/logical_block_size`);
  // Counted in logical blocks; the attribute exists since Linux 6.8.
  const usedBlocks = readNumber(host, `${path}/nuse`);
  families.add(namespaceInfo, { ...labels, ana_state: state }, 1);
  families.add(capacity, labels, bytes);
  families.add(size, labels, bytes);
  families.add(blockSize, labels, block);
  families.add(used, labels, usedBlocks === undefined || block === undefined ? undefined : usedBlocks * block);
}
