import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Action, Finding } from "../verdict.ts";
import { count, happened, timeOf } from "./builtin.ts";

/**
 * Faults remembered over reboots: in which runs of the kernel each came up. Without that nobody could tell the fault
 * that a reboot has cured from the one that has come back after the second.
 */
export const FaultMemory = t.Record(
  t.String(),
  t.Array(t.Object({ bootId: t.String(), lastSeconds: t.Number(), count: t.Number() })),
);
export type FaultMemory = Static<typeof FaultMemory>;

export interface Observation {
  /** What it is and where, unique: "0000:3b:00 79". */
  readonly key: string;
  readonly lastSeconds: number;
  /** In this run of the kernel. */
  readonly count: number;
}

export interface Fault extends Observation {
  /** It came up in the run of the kernel that is on. */
  readonly isCurrent: boolean;
  /** Times that it has come up again after a reboot. */
  readonly reboots: number;
}

export interface FaultTimes {
  readonly nowSeconds: number;
  readonly bootId: string | undefined;
}

/** For how long a fault counts, by what it asks for. */
export const lookback = {
  lookback_hours: t.Number({
    default: 72,
    exclusiveMinimum: 0,
    description: "How long an error of this run of the kernel counts.",
  }),
  application_hours: t.Number({
    default: 1,
    exclusiveMinimum: 0,
    description: "The same for errors that end with the application.",
  }),
};

interface Judging {
  readonly nowSeconds: number;
  readonly parameters: { readonly lookback_hours: number; readonly application_hours?: number };
}

const keepSeconds = 30 * 86_400;
/** A reboot that was of no use is one of the last two weeks'. */
const escalationSeconds = 14 * 86_400;
const bootsKept = 8;
const faultsKept = 500;
const rebootsUntilInspection = 2;

export function mergeFaults(
  memory: unknown,
  observations: readonly Observation[],
  { nowSeconds, bootId = "" }: FaultTimes,
): FaultMemory {
  const known: FaultMemory = Value.Check(FaultMemory, memory) ? structuredClone(memory) : {};
  for (const { key, lastSeconds, count } of observations) {
    const boots = (known[key] ??= []);
    const current = boots.find((boot) => boot.bootId === bootId);
    if (current === undefined) boots.push({ bootId, lastSeconds, count });
    // The kernel log is a ring: after a restart of the daemon it may tell less than was seen before.
    else Object.assign(current, mostOf(current, { lastSeconds, count }));
  }
  const entries = Object.entries(known)
    .map(
      ([key, boots]) =>
        [key, boots.filter(({ lastSeconds }) => nowSeconds - lastSeconds < keepSeconds).slice(-bootsKept)] as const,
    )
    .filter(([, boots]) => boots.length > 0)
    .sort(([, a], [, b]) => lastOf(b) - lastOf(a));
  return Object.fromEntries(entries.slice(0, faultsKept));
}

function mostOf(a: Pick<Observation, "lastSeconds" | "count">, b: Pick<Observation, "lastSeconds" | "count">) {
  return { lastSeconds: Math.max(a.lastSeconds, b.lastSeconds), count: Math.max(a.count, b.count) };
}

function lastOf(boots: FaultMemory[string]): number {
  return Math.max(...boots.map(({ lastSeconds }) => lastSeconds));
}

/** `acknowledgedSeconds` of a key: up to then it is dealt with, and reboots before that were of use. */
export function listFaults(
  memory: FaultMemory,
  { nowSeconds, bootId = "" }: FaultTimes,
  acknowledgedSeconds: (key: string) => number = () => 0,
): Fault[] {
  return Object.entries(memory).flatMap(([key, all]) => {
    const boots = all.filter(({ lastSeconds }) => lastSeconds > acknowledgedSeconds(key));
    const last = boots.at(-1);
    if (last === undefined) return [];
    const recent = boots.filter(({ lastSeconds }) => nowSeconds - lastSeconds < escalationSeconds);
    const { lastSeconds, count } = last;
    return [{ key, lastSeconds, count, isCurrent: last.bootId === bootId, reboots: Math.max(0, recent.length - 1) }];
  });
}

const curedByReboot: ReadonlySet<Action> = new Set(["none", "check_application", "reset_gpu", "reboot"]);

/** Whether a fault of an earlier run of the kernel is over because the node has been rebooted. */
function isCured({ isCurrent }: Fault, action: Action): boolean {
  return !isCurrent && curedByReboot.has(action);
}

/** What has come back after two reboots will not go with a third. */
export function escalate({ reboots }: Fault, action: Action): Action {
  const helps = action === "reboot" || action === "reset_gpu";
  return helps && reboots >= rebootsUntilInspection ? "inspect_hardware" : action;
}

/** None where the fault counts no more. `named` has what it is, without its history, and what to do the first time. */
export function toFindings(fault: Fault, named: Finding, { nowSeconds, parameters }: Judging): Finding[] {
  const { action, summary } = named;
  const { lookback_hours: long, application_hours: short = long } = parameters;
  const counts = (action === "check_application" ? short : long) * 3600;
  if (nowSeconds - fault.lastSeconds > counts || isCured(fault, action)) return [];
  const history = `${summary}; ${describeFault(fault)}`;
  return [{ ...named, summary: history, action: escalate(fault, action), ...happened(fault.lastSeconds) }];
}

/** "3 times, last at 2026-11-20 12:00:00 UTC, again after 2 reboots" */
function describeFault({ count: times, lastSeconds, reboots }: Fault): string {
  const time = `at ${timeOf(lastSeconds)}`;
  const often = times === 1 ? time : `${times} times, last ${time}`;
  return reboots === 0 ? often : `${often}, again after ${count(reboots, "reboot")}`;
}
