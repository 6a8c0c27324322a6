import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { connectDbus, type DbusConnection } from "./dbus/connection.ts";
import { DbusReplyError } from "./dbus/wire.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { detectPath } from "./read.ts";
import { addUnits, type Unit, type UnitDetails, unitStates } from "./systemd-units.ts";

const version = gauge("node_systemd_version", "Detected systemd version");
const virtualization = gauge("node_systemd_virtualization_info", "Detected virtualization technology");
const systemRunning = gauge(
  "node_systemd_system_running",
  "Whether the system is operational (see 'systemctl is-system-running')",
);
const units = gauge("node_systemd_units", "Summary of systemd unit states");

const manager = { destination: "org.freedesktop.systemd1", path: "/org/freedesktop/systemd1" };
const managerInterface = "org.freedesktop.systemd1.Manager";

const flag = (name: string, description: string) =>
  Type.Boolean({ default: false, flag: `collector.systemd.${name}`, description });
const pattern = (name: string, value: string, description: string) =>
  Type.String({ default: value, flag: `collector.systemd.${name}`, description });

export const systemd = defineCollector({
  name: "systemd",
  description: "States of systemd's units over D-Bus.",
  enabledByDefault: false,
  options: Type.Object(
    {
      unit_include: pattern("unit-include", ".+", "Regular expression that the whole name of a unit has to match."),
      unit_exclude: pattern(
        "unit-exclude",
        ".+\\.(automount|device|mount|scope|slice)",
        "Regular expression that the whole name of a unit must not match.",
      ),
      enable_task_metrics: flag(
        "enable-task-metrics",
        "Tasks of each service: two more questions to systemd for each.",
      ),
      enable_restarts_metrics: flag("enable-restarts-metrics", "How often each service was restarted."),
      enable_start_time_metrics: flag("enable-start-time-metrics", "When each unit became active."),
      private: Type.Boolean({
        default: false,
        flag: "collector.systemd.private",
        hidden: true,
        description: "Ask systemd by its own socket instead of the system bus; needs root.",
      }),
    },
    { additionalProperties: false },
  ),
  create: (options) => {
    const includes = compilePattern(`^(?:${options.unit_include})$`, "--collector.systemd.unit-include");
    const excludes = compilePattern(`^(?:${options.unit_exclude})$`, "--collector.systemd.unit-exclude");
    const details: UnitDetails = {
      tasks: options.enable_task_metrics,
      restarts: options.enable_restarts_metrics,
      startTimes: options.enable_start_time_metrics,
    };
    const socketOf = ({ rootPath }: Host): string =>
      `${rootPath.replace(/\/$/, "")}${options.private ? "/run/systemd/private" : "/run/dbus/system_bus_socket"}`;
    return {
      detect: async (host) => detectPath(socketOf(host), `no D-Bus socket ${socketOf(host)}`),
      collect: async (host, signal): Promise<MetricFamily[]> => {
        const connection = await connectDbus({ socketPath: socketOf(host), isBus: !options.private, signal });
        try {
          const families = createFamilySet();
          await addManager(host, families, connection);
          const all = await listUnits(connection);
          addSummary(families, all);
          const wanted = all.filter(
            ({ name, loadState }) => loadState === "loaded" && includes.test(name) && !excludes.test(name),
          );
          await addUnits({ host, families, connection, details }, wanted);
          return families.list();
        } finally {
          connection.close();
        }
      },
    };
  },
});

async function addManager(host: Host, families: FamilySet, connection: DbusConnection): Promise<void> {
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return String(await connection.property(manager, managerInterface, name));
    } catch (error) {
      if (!(error instanceof DbusReplyError)) throw error;
      host.skipped(`systemd ${name}`, error);
      return undefined;
    }
  };
  const [text, technology, state] = await Promise.all([read("Version"), read("Virtualization"), read("SystemState")]);
  const number = /[0-9]{3,}(\.[0-9]+)?/.exec(text ?? "")?.[0];
  if (text !== undefined) families.add(version, { version: text }, Number(number ?? 0));
  families.add(virtualization, { virtualization_type: technology === "" ? "none" : (technology ?? "unknown") }, 1);
  families.add(systemRunning, {}, state === undefined ? undefined : Number(state === "running"));
}

/** ListUnits() → a(ssssssouso): name, description, load, active and sub state, unit followed, object path, job. */
async function listUnits(connection: DbusConnection): Promise<Unit[]> {
  const [rows] = await connection.call({ ...manager, interface: managerInterface, member: "ListUnits" });
  if (!Array.isArray(rows)) throw new Error("unexpected answer to ListUnits");
  return rows.map((row: readonly unknown[]) => ({
    name: String(row[0]),
    loadState: String(row[2]),
    activeState: String(row[3]),
    path: String(row[6]),
  }));
}

function addSummary(families: FamilySet, all: readonly Unit[]): void {
  const counts = new Map<string, number>(unitStates.map((state) => [state, 0]));
  for (const { activeState } of all) counts.set(activeState, (counts.get(activeState) ?? 0) + 1);
  for (const [state, count] of counts) families.add(units, { state }, count);
}
