import type { DbusConnection } from "./dbus/connection.ts";
import { DbusReplyError } from "./dbus/wire.ts";
import { counter, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";

const unitState = gauge("node_systemd_unit_state", "Systemd unit");
const startTime = gauge("node_systemd_unit_start_time_seconds", "Start time of the unit since unix epoch in seconds.");
const tasksCurrent = gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit");
const tasksMax = gauge("node_systemd_unit_tasks_max", "Maximum number of tasks per Systemd unit");
const restarts = counter("node_systemd_service_restart_total", "Service unit count of Restart triggers");
const lastTrigger = gauge("node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.");
const accepted = counter(
  "node_systemd_socket_accepted_connections_total",
  "Total number of accepted socket connections",
);
const connections = gauge("node_systemd_socket_current_connections", "Current number of socket connections");
// A gauge in spite of its name: that is how node_exporter publishes it.
const refused = gauge("node_systemd_socket_refused_connections_total", "Total number of refused socket connections");

export const unitStates = ["active", "activating", "deactivating", "inactive", "failed"] as const;

export interface Unit {
  readonly name: string;
  readonly loadState: string;
  readonly activeState: string;
  readonly path: string;
}

/** What costs more questions to systemd than the state does. */
export interface UnitDetails {
  readonly tasks: boolean;
  readonly restarts: boolean;
  readonly startTimes: boolean;
}

export interface UnitContext {
  readonly host: Host;
  readonly families: FamilySet;
  readonly connection: DbusConnection;
  readonly details: UnitDetails;
}

/** systemd answers one question after the other; more than this at a time only fills the bus's queues. */
const unitsAtOnce = 32;

export async function addUnits(context: UnitContext, units: readonly Unit[]): Promise<void> {
  for (let first = 0; first < units.length; first += unitsAtOnce) {
    await Promise.all(units.slice(first, first + unitsAtOnce).map((unit) => addUnit(context, unit)));
  }
}

async function addUnit(context: UnitContext, unit: Unit): Promise<void> {
  const { families, details } = context;
  const { name } = unit;
  const number = async (of: string, property: string): Promise<number | undefined> => {
    const value = await readProperty(context, unit, of, property);
    return typeof value === "number" ? value : undefined;
  };
  const kind = name.slice(name.lastIndexOf(".") + 1);
  const of = kind[0]?.toUpperCase() + kind.slice(1);
  const hasType = kind === "service" || kind === "mount";
  const type = hasType ? String((await readProperty(context, unit, of, "Type")) ?? "") : "";
  for (const state of unitStates) families.add(unitState, { name, state, type }, Number(state === unit.activeState));
  if (details.startTimes) {
    const active = unit.activeState === "active" ? await number("Unit", "ActiveEnterTimestamp") : 0;
    families.add(startTime, { name }, toSeconds(active));
  }
  if (kind === "service" && details.restarts) families.add(restarts, { name }, await number(of, "NRestarts"));
  if (kind === "service" && details.tasks) {
    families.add(tasksCurrent, { name }, toLimit(await number(of, "TasksCurrent")));
    families.add(tasksMax, { name }, toLimit(await number(of, "TasksMax")));
  }
  if (kind === "timer") families.add(lastTrigger, { name }, toSeconds(await number(of, "LastTriggerUSec")));
  if (kind === "socket") {
    families.add(accepted, { name }, await number(of, "NAccepted"));
    families.add(connections, { name }, await number(of, "NConnections"));
    families.add(refused, { name }, await number(of, "NRefused"));
  }
}

/** Undefined when this systemd has no such property, or when the unit is gone since it was listed. */
async function readProperty(
  { host, connection }: UnitContext,
  { path }: Unit,
  of: string,
  property: string,
): Promise<unknown> {
  try {
    const object = { destination: "org.freedesktop.systemd1", path };
    return await connection.property(object, `org.freedesktop.systemd1.${of}`, property);
  } catch (error) {
    if (!(error instanceof DbusReplyError)) throw error;
    host.skipped(`systemd ${of}.${property}`, error);
    return undefined;
  }
}

function toSeconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1e6;
}

/** All bits set stands for "no limit" and for "not counted". */
function toLimit(value: number | undefined): number | undefined {
  return value === 2 ** 64 ? undefined : value;
}
