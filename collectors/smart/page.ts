import type { MetricFamily } from "../collector.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "../families.ts";
import { deviceStates, type PolledDevice } from "./device.ts";
import { smartFamilies } from "./families.ts";
import { listAt, numberAt, textAt } from "./json.ts";
import { visibleDevices } from "./visible.ts";

/** A reading older than this many intervals is no longer published, unless the disk sleeps. */
const staleAfterIntervals = 3;

const head = {
  devices: gauge("smartctl_devices", "Number of devices configured or dynamically discovered"),
  version: gauge("smartctl_version", "smartctl version"),
  state: gauge("aami_smart_device_state", "Whether the last poll of a disk by smartctl ended in this state."),
  lastSuccess: gauge(
    "aami_smart_last_success_timestamp_seconds",
    "Unix time of the reading that the disk's smartctl_device_* series show.",
  ),
  powerMode: gauge("aami_smart_device_power_mode", "The power mode that a disk was last seen in, value is always 1."),
  namespace: gauge("aami_smart_nvme_namespace_info", "Namespace of an NVMe controller, value is always 1."),
  disappeared: counter("aami_smart_disappeared_disks_total", "Disks that vanished while they were watched."),
  duration: gauge("aami_smart_poll_duration_seconds", "Time that the last poll of a disk by smartctl took."),
};

export interface SmartPageOptions {
  readonly nowMs: number;
  readonly intervalSeconds: number;
  /** Show the last values of a disk however old they are, as smartctl_exporter does. */
  readonly keepStale: boolean;
  /** Disks gone since the start. */
  readonly disappeared: number;
}

/** Everything that is published about SMART: the exporter's families, and what it cannot say. */
export function smartPage(
  all: readonly PolledDevice[],
  { nowMs, intervalSeconds, keepStale, disappeared }: SmartPageOptions,
): MetricFamily[] {
  const devices = visibleDevices(all);
  const labels = uniqueLabels(devices);
  const set = createFamilySet();
  set.add(head.devices, {}, devices.length);
  set.add(head.disappeared, {}, disappeared);
  const families: MetricFamily[] = [];
  let hasVersion = false;
  for (const device of devices) {
    const label = labels.get(device) ?? device.label;
    addOwn(set, device, label);
    const { report, lastSuccessMs, state } = device;
    if (report === undefined || lastSuccessMs === undefined) continue;
    const isFresh = keepStale || nowMs - lastSuccessMs <= staleAfterIntervals * intervalSeconds * 1000;
    if (!isFresh && state !== "standby") continue;
    families.push(...smartFamilies(report, label));
    if (!hasVersion) addVersion(set, report);
    hasVersion = true;
  }
  return [...set.list(), ...families];
}

function addOwn(set: FamilySet, device: PolledDevice, label: string): void {
  if (device.state === "unknown") return;
  for (const state of deviceStates) set.add(head.state, { device: label, state }, state === device.state ? 1 : 0);
  const { lastSuccessMs, durationSeconds, powerMode, disk } = device;
  if (powerMode !== undefined) set.add(head.powerMode, { device: label, mode: powerMode }, 1);
  for (const namespace of disk?.namespaces ?? []) set.add(head.namespace, { device: label, namespace }, 1);
  set.add(head.lastSuccess, { device: label }, lastSuccessMs === undefined ? undefined : lastSuccessMs / 1000);
  set.add(head.duration, { device: label }, durationSeconds);
}

/** Two disks with one label must never break a page: the later one carries its type as well. */
function uniqueLabels(devices: readonly PolledDevice[]): Map<PolledDevice, string> {
  const taken = new Set<string>();
  const labels = new Map<PolledDevice, string>();
  for (const device of devices) {
    let label = device.label;
    if (taken.has(label)) label = `${label}_${(device.target.type ?? "auto").replaceAll(",", "_")}`;
    while (taken.has(label)) label += "_";
    taken.add(label);
    labels.set(device, label);
  }
  return labels;
}

function addVersion(set: FamilySet, report: unknown): void {
  const version = (...keys: string[]): string =>
    listAt(report, ...keys)
      .slice(0, 2)
      .join(".");
  const labels = {
    json_format_version: version("json_format_version"),
    smartctl_version: version("smartctl", "version"),
    svn_revision: textAt(report, "smartctl", "svn_revision") ?? "",
    build_info: textAt(report, "smartctl", "build_info") ?? "",
  };
  if (numberAt(report, "smartctl", "version", 0) !== undefined) set.add(head.version, labels, 1);
}
