import { Value } from "@sinclair/typebox/value";
import { expect, test } from "bun:test";
import type { CollectorDefinition } from "../../collectors/collector.ts";
import { encodeCall } from "../../collectors/dbus/wire.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { logind } from "../../collectors/logind.ts";
import { systemd } from "../../collectors/systemd.ts";
import { type Answer, type Call, serveDbus } from "./dbus-server.ts";

async function collectFrom(
  definition: CollectorDefinition,
  root: string,
  options: Record<string, unknown> = {},
  signal = AbortSignal.timeout(5000),
): Promise<{ series: string[]; skipped: string[] }> {
  const skipped: string[] = [];
  const host = {
    procPath: "",
    sysPath: "",
    rootPath: root,
    udevDataPath: "",
    run: () => Promise.reject(new Error("no programs")),
    skipped: (what: string) => void skipped.push(what),
  };
  const collector = definition.create(Value.Default(definition.options, { ...options }) as never);
  expect(await collector.detect(host)).toEqual({ supported: true });
  const text = encodeFamilies(await collector.collect(host, signal)).map((family) => family.text);
  const lines = text.join("").split("\n");
  return { series: lines.filter((line) => line !== "" && !line.startsWith("#")), skipped };
}

const unit = (name: string, load: string, active: string): unknown[] => [
  ...[name, "A unit – described", load, active, "sub", "", `/unit/${name}`, 0, "", "/"],
];
const values: Record<string, readonly [type: string, value: unknown]> = {
  Version: ["s", "252.38-1~deb12u1"],
  Virtualization: ["s", ""],
  SystemState: ["s", "running"],
  Type: ["s", "notify"],
  NRestarts: ["u", 3],
  TasksCurrent: ["t", 7n],
  TasksMax: ["t", 2n ** 64n - 1n],
  ActiveEnterTimestamp: ["t", 1700000000500000n],
  LastTriggerUSec: ["t", 1700000001500000n],
  NAccepted: ["u", 9],
  NConnections: ["u", 2],
};
const answerSystemd = ({ member, arguments: [, name = ""] }: Call): Answer => {
  if (member === "ListUnits") {
    const units = [
      unit("a.service", "loaded", "active"),
      unit("b.service", "loaded", "failed"),
      unit("gone.service", "not-found", "inactive"),
      unit("t.timer", "loaded", "active"),
      unit("s.socket", "loaded", "active"),
      unit("home.mount", "loaded", "active"),
    ];
    return { signature: "a(ssssssouso)", body: [units] };
  }
  const value = values[name];
  return value === undefined
    ? { error: "org.freedesktop.DBus.Error.UnknownProperty" }
    : { signature: "v", body: [value] };
};

test("systemd: units, timers and sockets; a property of a newer systemd costs its own series", async () => {
  await using server = await serveDbus(answerSystemd);
  const { series, skipped } = await collectFrom(systemd, server.root);
  expect(series.filter((line) => !line.startsWith("node_systemd_unit_state"))).toEqual([
    'node_systemd_socket_accepted_connections_total{name="s.socket"} 9',
    'node_systemd_socket_current_connections{name="s.socket"} 2',
    "node_systemd_system_running 1",
    'node_systemd_timer_last_trigger_seconds{name="t.timer"} 1.7000000015e+09',
    'node_systemd_units{state="activating"} 0',
    'node_systemd_units{state="active"} 4',
    'node_systemd_units{state="deactivating"} 0',
    'node_systemd_units{state="failed"} 1',
    'node_systemd_units{state="inactive"} 1',
    'node_systemd_version{version="252.38-1~deb12u1"} 252.38',
    'node_systemd_virtualization_info{virtualization_type="none"} 1',
  ]);
  expect(series.filter((line) => line.startsWith("node_systemd_unit_state") && line.endsWith(" 1"))).toEqual([
    'node_systemd_unit_state{name="a.service",state="active",type="notify"} 1',
    'node_systemd_unit_state{name="b.service",state="failed",type="notify"} 1',
    'node_systemd_unit_state{name="s.socket",state="active",type=""} 1',
    'node_systemd_unit_state{name="t.timer",state="active",type=""} 1',
  ]);
  expect(skipped).toEqual(["systemd Socket.NRefused"]);
});

test("systemd: details on request, the unlimited left out, units by pattern", async () => {
  await using server = await serveDbus(answerSystemd);
  const { series } = await collectFrom(systemd, server.root, {
    unit_include: "[ab]\\.service|home.*",
    unit_exclude: "b.*",
    enable_task_metrics: true,
    enable_restarts_metrics: true,
    enable_start_time_metrics: true,
  });
  expect(series.filter((line) => /_restart_|_tasks_|_start_/.test(line))).toEqual([
    'node_systemd_service_restart_total{name="a.service"} 3',
    'node_systemd_unit_start_time_seconds{name="a.service"} 1.7000000005e+09',
    'node_systemd_unit_start_time_seconds{name="home.mount"} 1.7000000005e+09',
    'node_systemd_unit_tasks_current{name="a.service"} 7',
  ]);
});

test("replies in pieces of seven bytes are put together", async () => {
  await using server = await serveDbus(answerSystemd, 7);
  expect((await collectFrom(systemd, server.root)).series).toContain('node_systemd_units{state="active"} 4');
});

test("a systemd that does not answer fails with the deadline", async () => {
  const reason = new Error("the deadline");
  const controller = new AbortController();
  await using server = await serveDbus(() => void controller.abort(reason));
  await expect(collectFrom(systemd, server.root, {}, controller.signal)).rejects.toBe(reason);
});

test("a ListUnits that is refused fails the collector", async () => {
  await using server = await serveDbus((call) =>
    call.member === "ListUnits" ? { error: "org.freedesktop.DBus.Error.AccessDenied" } : answerSystemd(call),
  );
  await expect(collectFrom(systemd, server.root)).rejects.toThrow("AccessDenied");
});

const sessions: Record<string, Record<string, readonly [type: string, value: unknown]>> = {
  "/s/1": { Remote: ["b", 0], Type: ["s", "tty"], Class: ["s", "user"] },
  "/s/2": { Remote: ["b", 1], Type: ["s", "hologram"], Class: ["s", "user"] },
};
const answerLogind = ({ member, path, arguments: [, name = ""] }: Call): Answer => {
  if (member === "ListSeats") return { signature: "a(so)", body: [[["seat0", "/seat"]]] };
  if (member === "ListSessions") {
    const rows = [
      ["1", 0, "root", "seat0", "/s/1"],
      ["2", 0, "root", "", "/s/2"],
      ["3", 0, "root", "", "/s/ended"],
    ];
    return { signature: "a(susso)", body: [rows] };
  }
  const value = sessions[path]?.[name];
  return value === undefined
    ? { error: "org.freedesktop.DBus.Error.UnknownObject" }
    : { signature: "v", body: [value] };
};

test("logind: every combination, a session that has ended left out, what is new counted as other", async () => {
  await using server = await serveDbus(answerLogind);
  const { series, skipped } = await collectFrom(logind, server.root);
  expect(series).toHaveLength(2 * 2 * 7 * 5);
  expect(series.filter((line) => !line.endsWith(" 0"))).toEqual([
    'node_logind_sessions{class="user",remote="false",seat="seat0",type="tty"} 1',
    'node_logind_sessions{class="user",remote="true",seat="",type="other"} 1',
  ]);
  expect(skipped).toEqual(["logind session"]);
});

test.each([systemd, logind])("$name is absent without a bus", async ({ create, options }) => {
  const collector = create(Value.Default(options, {}) as never);
  expect(await collector.detect({ rootPath: "/nowhere" } as never)).toMatchObject({ supported: false });
});

test("a call as a bus takes it", () => {
  const call = { destination: "d.e", path: "/p", interface: "i.f", member: "Get", arguments: ["a"] };
  expect(Buffer.from(encodeCall(1, call)).toString("latin1")).toBe(
    "l\x01\x00\x01\x06\x00\x00\x00\x01\x00\x00\x00\x47\x00\x00\x00" +
      "\x01\x01o\x00\x02\x00\x00\x00/p\x00\x00\x00\x00\x00\x00" +
      "\x02\x01s\x00\x03\x00\x00\x00i.f\x00\x00\x00\x00\x00" +
      "\x03\x01s\x00\x03\x00\x00\x00Get\x00\x00\x00\x00\x00" +
      "\x06\x01s\x00\x03\x00\x00\x00d.e\x00\x00\x00\x00\x00" +
      "\x08\x01g\x00\x01s\x00\x00" +
      "\x01\x00\x00\x00a\x00",
  );
});
