import { deviceLabel } from "./families.ts";
import type { Disk } from "./disks.ts";
import { type Json, textAt } from "./json.ts";
import type { SmartctlResult } from "./smartctl.ts";
import { classify, standbyExitStatus } from "./outcome.ts";

/** The state that aami_smart_device_state shows. */
export const deviceStates = [
  "ok",
  "standby",
  "stuck",
  "timeout",
  "open_failed",
  "unsupported",
  "failed",
  "dead",
] as const;
export type DeviceState = (typeof deviceStates)[number] | "unknown";

/** What is polled: a disk that the kernel shows, or one behind a controller that only smartctl can name. */
export interface Target {
  /** Unique: path and type. */
  readonly key: string;
  readonly path: string;
  /** Given with --device; undefined lets smartctl find out, and its answer is remembered. */
  readonly type: string | undefined;
}

export interface PolledDevice {
  readonly target: Target;
  disk: Disk | undefined;
  state: DeviceState;
  reason: string | undefined;
  /** Type that the last good answer named: detecting it again could wake the disk. */
  knownType: string | undefined;
  report: Json | undefined;
  label: string;
  /** "ACTIVE or IDLE", "STANDBY", …; undefined while nothing is known of it, and from smartctl before 7.5 for a disk that is awake. */
  powerMode: string | undefined;
  lastSuccessMs: number | undefined;
  durationSeconds: number | undefined;
  failures: number;
  dueAtMs: number;
  running: boolean;
  /** Requests served at the last poll, to see whether a disk that says it sleeps has worked. */
  requestsAtPoll: number | undefined;
  /** Ask without `-n` next time: what it said about sleeping is not believed. */
  doubted: boolean;
}

export function createPolledDevice(target: Target, disk: Disk | undefined, dueAtMs: number): PolledDevice {
  return {
    target,
    disk,
    state: "unknown",
    reason: undefined,
    knownType: target.type,
    report: undefined,
    label: target.path.replace(/^\/dev\//, "").replaceAll("/", "_"),
    powerMode: undefined,
    lastSuccessMs: undefined,
    durationSeconds: undefined,
    failures: 0,
    dueAtMs,
    running: false,
    requestsAtPoll: undefined,
    doubted: false,
  };
}

/** Behind a controller: "megaraid,3", "cciss,0". */
export function isNumberedType({ target }: PolledDevice): boolean {
  return target.type?.includes(",") ?? false;
}

/** The exporter's own argument list, so that values and exit status agree; `-n` only where a disk can sleep. */
export function smartctlArguments({ target, disk, knownType, doubted }: PolledDevice): string[] {
  const sleeps = (disk?.rotational ?? true) && !doubted;
  return [
    "--json",
    "--info",
    "--health",
    "--attributes",
    "--tolerance=verypermissive",
    ...(sleeps ? [`--nocheck=standby,${standbyExitStatus}`] : []),
    "--format=brief",
    "--log=error",
    `--device=${knownType ?? "auto"}`,
    target.path,
  ];
}

/** Takes in the end of one call. `nowMs` is wall time, published as the time of the reading. */
export function applyResult(device: PolledDevice, result: SmartctlResult, nowMs: number): void {
  const servedBefore = device.requestsAtPoll;
  device.requestsAtPoll = device.disk?.requests;
  if (result.end === "deadline") return fail(device, "timeout", "smartctl did not answer before the deadline");
  if (result.end === "stuck") return fail(device, "stuck", `smartctl cannot be killed, pid ${result.pid}`);
  if (result.end === "failed") return fail(device, "failed", result.error);
  const outcome = classify(result.stdout, result.exitStatus);
  if (outcome.state === "ok") succeed(device, outcome.report, nowMs);
  else if (outcome.state === "standby") settleStandby(device, outcome.mode, servedBefore);
  else fail(device, outcome.state, outcome.reason);
}

function succeed(device: PolledDevice, report: Json, nowMs: number): void {
  device.state = "ok";
  device.reason = undefined;
  device.report = report;
  device.powerMode = textAt(report, "power_mode", "name");
  device.knownType = textAt(report, "device", "type") ?? device.knownType;
  device.label = deviceLabel(report) || device.label;
  device.lastSuccessMs = nowMs;
  device.failures = 0;
  device.doubted = false;
}

/**
 * A dead disk looks asleep: every smartctl takes a failed power-mode command for SLEEP. No disk goes to SLEEP by a timer,
 * so one that the kernel has given up or that has served requests since the last poll is asked again without `-n`.
 */
function settleStandby(device: PolledDevice, mode: string, servedBefore: number | undefined): void {
  const { disk } = device;
  const isGone = disk?.state !== undefined && disk.state !== "running";
  const hasWorked = servedBefore !== undefined && (disk?.requests ?? 0) > servedBefore;
  if (mode.startsWith("SLEEP") && (isGone || hasWorked)) {
    device.doubted = true;
    fail(
      device,
      "open_failed",
      `says ${mode}, but ${isGone ? `the kernel calls it ${disk.state}` : "has served requests"}`,
    );
    return;
  }
  settleAsleep(device, mode);
}

/** The disk sleeps, by its own answer or as the kernel says. */
export function settleAsleep(device: PolledDevice, mode: string): void {
  device.state = "standby";
  device.reason = mode;
  device.powerMode = mode;
  device.failures = 0;
}

/** The driver has given the controller up, and answers no command any more: what was read before says nothing now. */
export function settleDead(device: PolledDevice): void {
  fail(device, "dead", "the kernel has given the controller up");
  device.report = undefined;
}

export function isDead({ disk }: PolledDevice): boolean {
  return disk?.state === "dead";
}

function fail(device: PolledDevice, state: DeviceState, reason: string): void {
  device.state = state;
  device.reason = reason;
  device.powerMode = undefined;
  device.failures++;
}
