import type { Logger } from "../../runtime/log.ts";
import type { EventLog, HardwareEvent } from "../events.ts";
import {
  applyResult,
  createPolledDevice,
  isDead,
  type PolledDevice,
  settleAsleep,
  settleDead,
  smartctlArguments,
  type Target,
} from "./device.ts";
import type { Disk } from "./disks.ts";
import { field, listAt, textAt } from "./json.ts";
import type { Smartctl } from "./smartctl.ts";

export interface SmartSettings {
  readonly intervalSeconds: number;
  readonly deadlineSeconds: number;
  readonly rescanSeconds: number;
  readonly concurrency: number;
  /** By the device's name as it stands in the label: "sda", "nvme0", "bus_0". */
  readonly isWatched: (name: string) => boolean;
  /** Disks that only the operator can name: behind hpsa, 3ware, areca. */
  readonly configured: readonly Target[];
}

export interface SmartPoller {
  /** Looks for new and vanished disks when it is time, and starts the polls that are due. Call about every second. */
  tick(): Promise<void>;
  devices(): readonly PolledDevice[];
  /** Disks that vanished since the start. */
  disappeared(): number;
}

export interface SmartPollerDependencies {
  readonly settings: SmartSettings;
  readonly smartctl: Smartctl;
  /** The kernel's disks; rejects when they cannot be listed in time. */
  readonly listDisks: () => Promise<readonly Disk[]>;
  readonly events: Pick<EventLog, "record">;
  readonly log: Logger;
  readonly now: () => number;
  readonly random: () => number;
}

const inventorySeconds = 30;
/** An inventory that failed is tried again after this, then after twice as long, up to the usual time. */
const inventoryRetrySeconds = 1;
const scanDeadlineMs = 30_000;
const maxBackoffSeconds = 3600;
/** The first polls after the start, and of several disks plugged in at once, do not begin together. */
const firstPollSpreadSeconds = 3;

export function createSmartPoller(dependencies: SmartPollerDependencies): SmartPoller {
  const { settings, smartctl, listDisks, events, log, now, random } = dependencies;
  const byKey = new Map<string, PolledDevice>();
  let scanned: readonly Target[] = [];
  let inventoryDueAt = 0;
  let inventoryFailures = 0;
  let scanDueAt = 0;
  let listing = false;
  let disappeared = 0;

  const tick = async (): Promise<void> => {
    startDuePolls();
    if (listing || now() < inventoryDueAt) return;
    listing = true;
    try {
      if (now() >= scanDueAt) await scan();
      reconcile(await listDisks());
      if (inventoryFailures > 0) log.info("disks can be listed again");
      inventoryFailures = 0;
    } catch (error) {
      if (inventoryFailures === 0) log.warn("disks cannot be listed", { error });
      inventoryFailures++;
    } finally {
      inventoryDueAt = now() + nextInventorySeconds() * 1000;
      listing = false;
    }
    startDuePolls();
  };

  const nextInventorySeconds = (): number =>
    inventoryFailures === 0
      ? inventorySeconds
      : Math.min(inventorySeconds, inventoryRetrySeconds * 2 ** (inventoryFailures - 1));

  /** Disks behind a RAID controller are known to smartctl alone. The scan opens nothing. */
  const scan = async (): Promise<void> => {
    scanDueAt = now() + settings.rescanSeconds * 1000;
    const result = await smartctl.call("--scan", ["--json", "--scan"], scanDeadlineMs);
    const found = result.end === "exited" ? parseScan(result.stdout) : undefined;
    // Without an answer the disks of the last one stay: they have not disappeared.
    if (found === undefined) log.warn("smartctl cannot scan for disks", { end: result.end });
    scanned = found ?? scanned;
  };

  const reconcile = (disks: readonly Disk[]): void => {
    const wanted = new Map<string, { target: Target; disk: Disk | undefined }>();
    for (const disk of disks) {
      const target = { key: disk.path, path: disk.path, type: undefined };
      if (settings.isWatched(disk.name)) wanted.set(target.key, { target, disk });
    }
    for (const target of [...scanned, ...settings.configured]) {
      if (settings.isWatched(target.path.replace(/^\/dev\//, "").replaceAll("/", "_"))) {
        wanted.set(target.key, { target, disk: undefined });
      }
    }
    for (const [key, device] of byKey) {
      if (wanted.has(key)) continue;
      byKey.delete(key);
      disappeared++;
      tell(device, "disk_disappeared", "critical", "disk has disappeared");
      log.warn("disk has disappeared", { device: device.label, path: device.target.path });
    }
    for (const [key, { target, disk }] of wanted) {
      const known = byKey.get(key);
      if (known !== undefined) {
        known.disk = disk;
        // Its death, and its return, are told at once.
        if (isDead(known) !== (known.state === "dead")) known.dueAtMs = now();
      } else byKey.set(key, createPolledDevice(target, disk, now() + random() * firstPollSpreadSeconds * 1000));
    }
  };

  const startDuePolls = (): void => {
    for (const device of byKey.values()) {
      const running = [...byKey.values()].filter((other) => other.running).length;
      if (running >= settings.concurrency) return;
      if (!device.running && device.dueAtMs <= now() && !isBusy(device)) void poll(device);
    }
  };

  /** The disks of one RAID controller have one device node, and the controller takes one command after the other. */
  const isBusy = ({ target }: PolledDevice): boolean =>
    [...byKey.values()].some((other) => other.running && other.target.path === target.path);

  const poll = async (device: PolledDevice): Promise<void> => {
    device.running = true;
    const { path } = device.target;
    const before = { state: device.state, hasPassed: hasPassed(device) };
    const startedAt = performance.now();
    if (device.disk?.suspended === true) return settle(device, before, () => settleAsleep(device, "SUSPENDED"));
    // Nothing is sent to a controller that answers nothing.
    if (isDead(device)) return settle(device, before, () => settleDead(device));
    const result = await smartctl.call(path, smartctlArguments(device), settings.deadlineSeconds * 1000);
    device.durationSeconds = (performance.now() - startedAt) / 1000;
    settle(device, before, () => applyResult(device, result, now()));
    startDuePolls();
  };

  const settle = (device: PolledDevice, before: Before, apply: () => void): void => {
    apply();
    device.dueAtMs = now() + nextInSeconds(device) * 1000;
    device.running = false;
    if (device.state !== before.state) reportChange(device, before.state);
    if (before.hasPassed !== false && hasPassed(device) === false) {
      tell(device, "disk_failing", "critical", "disk says that it is failing (SMART overall health)");
    }
  };

  const nextInSeconds = ({ failures }: PolledDevice): number => {
    const backoff = settings.intervalSeconds * 2 ** Math.max(0, failures - 1);
    // A fleet that was started together must not poll together for ever.
    return Math.min(backoff, Math.max(maxBackoffSeconds, settings.intervalSeconds)) * (0.95 + 0.1 * random());
  };

  const reportChange = (device: PolledDevice, before: string): void => {
    const { label, state, reason } = device;
    if (state === "ok" || state === "standby") {
      if (before !== "unknown") log.info("disk can be read again", { device: label, state });
    } else {
      log.warn("disk cannot be read by smartctl", { device: label, path: device.target.path, state, reason });
      if (state === "dead") tell(device, "disk_dead", "critical", reason ?? "");
      else if (state !== "unsupported")
        tell(device, "disk_unreadable", "warning", `smartctl: ${state}, ${reason ?? ""}`);
    }
  };

  const tell = ({ label }: PolledDevice, kind: string, severity: HardwareEvent["severity"], message: string): void => {
    const atMs = now();
    events.record({
      key: `smart:${label}:${kind}:${atMs}`,
      atMs,
      source: "smart",
      kind,
      severity,
      device: label,
      message,
    });
  };

  return { tick, devices: () => [...byKey.values()], disappeared: () => disappeared };
}

interface Before {
  readonly state: string;
  readonly hasPassed: boolean | undefined;
}

/** Undefined while the disk has not said so itself. */
function hasPassed({ report }: PolledDevice): boolean | undefined {
  const passed = field(report, "smart_status", "passed");
  return typeof passed === "boolean" ? passed : undefined;
}

/** The entries of `smartctl --scan` that the kernel does not show as disks of their own: those with a number in the type. */
function parseScan(stdout: string): Target[] | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (field(answer, "smartctl") === undefined) return undefined;
  return listAt(answer, "devices").flatMap((entry) => {
    const path = textAt(entry, "name");
    const type = textAt(entry, "type");
    return path !== undefined && type?.includes(",") === true ? [{ key: `${path} ${type}`, path, type }] : [];
  });
}
