import type { Labels, MetricFamily } from "../collector.ts";
import { createFamilySet, gauge } from "../families.ts";
import { toErrnoText } from "./errno-text.ts";
import type { MountStatus } from "./status.ts";

const deviceError = gauge(
  "node_filesystem_device_error",
  "Whether an error occurred while getting statistics for the given device.",
);
const readOnly = gauge("node_filesystem_readonly", "Filesystem read-only status.");
const size = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
const free = gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.");
const avail = gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
const files = gauge("node_filesystem_files", "Filesystem total file nodes.");
const filesFree = gauge("node_filesystem_files_free", "Filesystem total free file nodes.");
const purgeable = gauge(
  "node_filesystem_purgeable_bytes",
  "Filesystem space available including purgeable space (MacOS specific).",
);
const mountInfo = gauge("node_filesystem_mount_info", "Filesystem mount information.");

/**
 * node_exporter's families. A mount that does not answer, or whose last answer is too old, has only device_error and
 * readonly, and its label says "mountpoint timeout"; one that nothing is known of yet has no series at all.
 */
export function toFilesystemFamilies(mounts: readonly MountStatus[]): MetricFamily[] {
  const set = createFamilySet();
  for (const status of mounts) {
    const error = toDeviceError(status);
    const { space, health } = status.state;
    if (status.heldBack === "expiring automount" || (health === "unknown" && error === "")) continue;
    const { source: device, fstype } = status.mount;
    const labels: Labels = { device, mountpoint: status.mountPoint, fstype, device_error: error };
    set.add(deviceError, labels, error === "" ? 0 : 1);
    set.add(readOnly, labels, status.readOnly ? 1 : 0);
    if (error !== "" || space === undefined) continue;
    set.add(size, labels, space.sizeBytes);
    set.add(free, labels, space.freeBytes);
    set.add(avail, labels, space.availBytes);
    set.add(files, labels, space.files);
    set.add(filesFree, labels, space.filesFree);
    // node_exporter publishes it on Linux too, as 0.
    set.add(purgeable, labels, 0);
    const [major = "", minor = ""] = status.mount.device.split(":");
    set.add(mountInfo, { device, major, minor, mountpoint: status.mountPoint }, 1);
  }
  return set.list();
}

/** The text of the label device_error; empty when statfs answered, whatever a later step said. */
function toDeviceError({ state, stale }: MountStatus): string {
  if (state.health === "slow" || state.health === "stuck") return "mountpoint timeout";
  if (state.step === "statfs" && state.errno !== undefined) return toErrnoText(state.errno);
  return stale ? "mountpoint timeout" : "";
}
