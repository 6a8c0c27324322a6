import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_dmmultipath_device_info", "Non-numeric information about a DM-multipath device.");
const active = gauge(
  "node_dmmultipath_device_active",
  "Whether the multipath device-mapper device is active (1) or suspended (0).",
);
const size = gauge(
  "node_dmmultipath_device_size_bytes",
  "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
);
const paths = gauge("node_dmmultipath_device_paths", "Number of paths for a multipath device.");
const pathsActive = gauge(
  "node_dmmultipath_device_paths_active",
  "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
);
const pathsFailed = gauge(
  "node_dmmultipath_device_paths_failed",
  "Number of paths not in active state for a multipath device.",
);
const pathState = gauge(
  "node_dmmultipath_path_state",
  "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.",
);

const sectorBytes = 512;

export const dmmultipath = defineCollector({
  name: "dmmultipath",
  description: "Device mapper multipath devices and the state of their paths.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/block`, "no block devices in sysfs"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      for (const entry of listIfPresent(`${host.sysPath}/block`)) {
        if (!entry.startsWith("dm-")) continue;
        const uuid = readAttribute(host, `${host.sysPath}/block/${entry}/dm/uuid`)?.trim() ?? "";
        if (uuid.startsWith("mpath-")) addDevice(host, families, entry, uuid);
      }
      return families.list();
    },
  }),
});

function addDevice(host: Host, families: FamilySet, entry: string, uuid: string): void {
  const block = `${host.sysPath}/block`;
  const device = readAttribute(host, `${block}/${entry}/dm/name`)?.trim();
  if (device === undefined) return;
  const labels = { device, sysfs_name: entry };
  families.add(info, { ...labels, uuid }, 1);
  const suspended = readNumber(host, `${block}/${entry}/dm/suspended`);
  families.add(active, labels, suspended === undefined ? undefined : Number(suspended !== 1));
  const sectors = readNumber(host, `${block}/${entry}/size`);
  families.add(size, labels, sectors === undefined ? undefined : sectors * sectorBytes);

  const states = listIfPresent(`${block}/${entry}/slaves`).map((path) => {
    const state = readAttribute(host, `${block}/${path}/device/state`)?.trim();
    if (state !== undefined) families.add(pathState, { device, path, state }, 1);
    return state;
  });
  families.add(paths, labels, states.length);
  // Counts that leave out a path whose state could not be read would say that all is well, or that it failed.
  if (states.includes(undefined)) return;
  const healthy = states.filter((state) => state === "running" || state === "live").length;
  families.add(pathsActive, labels, healthy);
  families.add(pathsFailed, labels, states.length - healthy);
}
