import type { MetricFamily } from "../collector.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "../families.ts";
import type { MountStatus, MountsStatus } from "./status.ts";
import { frozenSeconds } from "./write-tester.ts";

const families = {
  success: gauge(
    "aami_mount_probe_success",
    "Whether the last probe of the mount (statfs, stat, readdir) was answered without an error.",
  ),
  info: gauge(
    "aami_mount_probe_info",
    "State of the mount (ok, denied, slow, stuck, failed, held_back), with the step and the error of the last probe.",
  ),
  healthy: gauge(
    "aami_mount_healthy",
    "0 after an error, two timeouts in a row, 30 s stuck or 60 s frozen; 1 again after two good probes.",
  ),
  duration: gauge("aami_mount_probe_duration_seconds", "Duration of the last probe that came to an end, in seconds."),
  lastSuccess: gauge(
    "aami_mount_last_success_timestamp_seconds",
    "Unix time of the last probe that went through all its steps.",
  ),
  stuck: gauge(
    "aami_mount_stuck_seconds",
    "Time since the start of a probe that can neither answer nor be killed, in seconds; 0 when there is none.",
  ),
  readOnly: gauge(
    "aami_mount_readonly",
    "Whether the mount is read-only, by its mount options, its superblock or after an ext4 error.",
  ),
  errors: gauge("aami_mount_filesystem_errors", "Errors that ext4 has recorded since its last check."),
  inodesExhausted: gauge(
    "aami_mount_inodes_exhausted",
    "Whether no inode is left although there is free space, so that no file can be created.",
  ),
  expected: gauge("aami_mount_expected_present", "Whether an expected mount is in the mount table."),
  mismatch: gauge(
    "aami_mount_readonly_expected_mismatch",
    "Whether an expected mount is read-only where it should be writable, or the other way round.",
  ),
  writeSuccess: gauge("aami_mount_write_test_success", "Whether the last write test wrote, synced and read back."),
  writeDuration: gauge("aami_mount_write_test_duration_seconds", "Duration of the last write test, in seconds."),
  writeLastSuccess: gauge(
    "aami_mount_write_test_last_success_timestamp_seconds",
    "Unix time of the last write test that succeeded.",
  ),
  writeStuck: gauge(
    "aami_mount_write_test_stuck_seconds",
    "Time since the start of a write that does not come back (a frozen filesystem), in seconds; 0 when there is none.",
  ),
  writeStopped: gauge(
    "aami_mount_write_test_stopped_info",
    "Write tests of the mount are suspended because of this event in the kernel log, value is always 1.",
  ),
  stuckProbes: gauge(
    "aami_mount_stuck_probes",
    "Probe processes that wait in the kernel and cannot be killed, those of unmounted filesystems included.",
  ),
  changes: counter("aami_mount_changes_total", "Changes of the mount table since the start, by kind."),
};

/** What node_exporter has no names for. One series per watched or expected mount, `device` and `fstype` as in node_filesystem_*. */
export function toMountFamilies({ mounts, expected, stuckProbes, changes }: MountsStatus): MetricFamily[] {
  const set = createFamilySet();
  for (const status of mounts) {
    addMount(set, status);
    addWriteTest(set, status);
  }
  for (const { mountPoint: mountpoint, level, present, readOnlyMismatch } of expected) {
    set.add(families.expected, { mountpoint, level }, present ? 1 : 0);
    set.add(families.mismatch, { mountpoint, level }, toNumber(readOnlyMismatch));
  }
  set.add(families.stuckProbes, {}, stuckProbes);
  for (const kind of ["mounted", "unmounted", "read_only", "writable"] as const) {
    set.add(families.changes, { kind }, changes.get(kind) ?? 0);
  }
  return set.list();
}

function labelsOf({ mount, mountPoint }: MountStatus): { device: string; mountpoint: string; fstype: string } {
  return { device: mount.source, mountpoint: mountPoint, fstype: mount.fstype };
}

function addMount(set: FamilySet, status: MountStatus): void {
  const { state, stuckSeconds, heldBack, readOnly } = status;
  const labels = labelsOf(status);
  const { health, step = "", errno = "" } = state;
  const shown = heldBack === undefined || heldBack === "waiting for others" ? health : "held_back";
  set.add(families.readOnly, labels, readOnly ? 1 : 0);
  set.add(families.stuck, labels, stuckSeconds);
  set.add(families.errors, labels, state.ext4Errors);
  if (shown !== "unknown") set.add(families.info, { ...labels, state: shown, step, error: errno }, 1);
  // "May not look", "not looked yet" and "not looked for long" say nothing about the mount, so they say nothing here.
  if (health === "unknown" || health === "denied" || status.stale) return;
  const isFrozen = (status.write?.stuckSeconds ?? 0) >= frozenSeconds;
  set.add(families.success, labels, health === "ok" ? 1 : 0);
  set.add(families.healthy, labels, state.unhealthy || isFrozen ? 0 : 1);
  set.add(families.duration, labels, state.lastDurationSeconds);
  set.add(families.lastSuccess, labels, state.lastSuccessEpochSeconds);
  const { space } = state;
  if (health !== "ok" || space === undefined || space.files === 0) return;
  set.add(families.inodesExhausted, labels, toNumber(space.filesFree === 0 && space.availBytes > 0));
}

function addWriteTest(set: FamilySet, status: MountStatus): void {
  const { write } = status;
  if (write === undefined) return;
  const labels = labelsOf(status);
  set.add(families.writeSuccess, labels, toNumber(write.success));
  set.add(families.writeDuration, labels, write.durationSeconds);
  set.add(families.writeLastSuccess, labels, write.lastSuccessEpochSeconds);
  set.add(families.writeStuck, labels, write.stuckSeconds);
  if (write.stoppedBy !== undefined) set.add(families.writeStopped, { ...labels, event: write.stoppedBy }, 1);
}

function toNumber(flag: boolean | undefined): number | undefined {
  return flag === undefined ? undefined : Number(flag);
}
