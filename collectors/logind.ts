import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { connectDbus, type DbusConnection } from "./dbus/connection.ts";
import { DbusReplyError } from "./dbus/wire.ts";
import { createFamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath } from "./read.ts";

const sessionCount = gauge("node_logind_sessions", "Number of sessions registered in logind.");

const destination = "org.freedesktop.login1";
const manager = {
  destination,
  path: "/org/freedesktop/login1",
  interface: "org.freedesktop.login1.Manager",
};

/** Every combination is published, most of them with 0; what a newer logind adds counts as "other". */
const types = ["other", "unspecified", "tty", "x11", "wayland", "mir", "web"] as const;
const classes = ["other", "user", "greeter", "lock-screen", "background"] as const;

export const logind = defineCollector({
  name: "logind",
  description: "Login sessions by seat, type and class, asked of logind over D-Bus.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async (host) => detectPath(socketOf(host), `no D-Bus socket ${socketOf(host)}`),
    collect: async (host, signal): Promise<MetricFamily[]> => {
      const connection = await connectDbus({ socketPath: socketOf(host), isBus: true, signal });
      try {
        const seats = (await listRows(connection, "ListSeats")).map(([seat]) => String(seat));
        const sessions = await listRows(connection, "ListSessions");
        const keys = await Promise.all(sessions.map((session) => readSession(host, connection, session)));
        return countSessions(seats, keys);
      } finally {
        connection.close();
      }
    },
  }),
});

function socketOf({ rootPath }: Host): string {
  return `${rootPath.replace(/\/$/, "")}/run/dbus/system_bus_socket`;
}

async function listRows(connection: DbusConnection, member: string): Promise<readonly unknown[][]> {
  const [rows] = await connection.call({ ...manager, member });
  if (!Array.isArray(rows)) throw new Error(`unexpected answer to ${member}`);
  return rows;
}

function toKey(seat: string, remote: boolean, type: string, class_: string): string {
  return JSON.stringify([seat, remote, type, class_]);
}

/** ListSessions() → a(susso): id, uid, user name, seat, object path. A session may end while it is asked. */
async function readSession(
  host: Host,
  connection: DbusConnection,
  [, , , seat, path]: readonly unknown[],
): Promise<string | undefined> {
  const read = (name: string): Promise<unknown> =>
    connection.property({ destination, path: String(path) }, "org.freedesktop.login1.Session", name);
  try {
    const [remote, type, class_] = await Promise.all([read("Remote"), read("Type"), read("Class")]);
    const known = (value: unknown, values: readonly string[]): string =>
      values.find((candidate) => candidate === value) ?? "other";
    return toKey(String(seat), remote === true, known(type, types), known(class_, classes));
  } catch (error) {
    if (!(error instanceof DbusReplyError)) throw error;
    host.skipped("logind session", error);
    return undefined;
  }
}

function countSessions(seats: readonly string[], keys: readonly (string | undefined)[]): MetricFamily[] {
  const families = createFamilySet();
  const counts = new Map<string, number>();
  for (const key of keys) if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  // Sessions without a seat, such as those by ssh, come under the empty one.
  for (const seat of [...seats, ""]) {
    for (const remote of [true, false]) {
      for (const type of types) {
        for (const class_ of classes) {
          const labels = { seat, remote: String(remote), type, class: class_ };
          families.add(sessionCount, labels, counts.get(toKey(seat, remote, type, class_)) ?? 0);
        }
      }
    }
  }
  return families.list();
}
