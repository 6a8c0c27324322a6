import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEventLog, type EventLog } from "../../collectors/events.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { createPortLister } from "../../collectors/infiniband-link/command.ts";
import type { PortReading } from "../../collectors/infiniband-link/ports.ts";
import { createLinkWatch, type LinkWatch } from "../../collectors/infiniband-link/watch.ts";
import { silentLogger } from "../../runtime/log.ts";

const rules = { dropAfterMs: 240_000, flapDownMs: 25_000, flapWindowMs: 12 * 3600_000, flapCount: 3 };
const up: PortReading = { device: "mlx5_0", port: "1", state: 4, physicalState: 5, linkDowned: 2 };
const down: PortReading = { ...up, state: 1, physicalState: 2 };

interface Rig {
  readonly watch: LinkWatch;
  readonly events: EventLog;
  /** Looks at the ports after so many seconds. */
  after(seconds: number, ...ports: PortReading[]): Promise<void>;
  fail(): Promise<void>;
  value(family: string): number | undefined;
  told(): string[];
  /** The daemon is started again, perhaps in another boot. */
  restart(bootId?: string): Rig;
}

function createRig(bootId = "boot-1", earlier?: { events: EventLog; nowMs: number }): Rig {
  const events = earlier?.events ?? createEventLog({ log: silentLogger });
  let nowMs = earlier?.nowMs ?? Date.UTC(2026, 10, 21);
  let ports: readonly PortReading[] | undefined = [];
  const lister = {
    list: async () => {
      if (ports === undefined) throw new Error("reading the ports: timeout");
      return ports;
    },
    close: () => {},
  };
  const watch = createLinkWatch({
    rules,
    isWatched: (device) => device !== "mlx5_left_out",
    lister,
    bootId,
    events,
    log: silentLogger,
    now: () => nowMs,
  });
  const look = async (found: readonly PortReading[] | undefined): Promise<void> => {
    ports = found;
    await watch.look();
  };
  return {
    watch,
    events,
    after: (seconds, ...found) => {
      nowMs += seconds * 1000;
      return look(found);
    },
    fail: () => look(undefined),
    value: (family) => {
      const text = encodeFamilies(watch.families()).map((encoded) => encoded.text);
      const found = new RegExp(`^${family}(?:\\{.*\\})? (\\S+)$`, "m").exec(text.join(""))?.[1];
      return found === undefined ? undefined : Number(found);
    },
    told: () => events.since(0).map(({ kind, severity, device }) => `${kind} ${severity} ${device}`),
    restart: (next = bootId) => createRig(next, { events, nowMs }),
  };
}

const dropped = "aami_infiniband_link_dropped";
const flapping = "aami_infiniband_link_flapping";

describe("a port that stays down", () => {
  test("has dropped out after four minutes, and recovers", async () => {
    const rig = createRig();
    await rig.after(0, up);
    await rig.after(15, down);
    await rig.after(225, down);
    expect([rig.value("aami_infiniband_link_up"), rig.value(dropped)]).toEqual([0, 0]);
    await rig.after(15, down);
    expect([rig.value(dropped), rig.value("aami_infiniband_link_drops_total")]).toEqual([1, 1]);
    await rig.after(600, down);
    expect(rig.value("aami_infiniband_link_since_timestamp_seconds")).toBe(Date.UTC(2026, 10, 21, 0, 0, 15) / 1000);
    await rig.after(15, up);
    expect([rig.value(dropped), rig.value("aami_infiniband_link_drops_total")]).toEqual([0, 1]);
    expect(rig.told()).toEqual(["infiniband_link_drop critical mlx5_0:1", "infiniband_link_flap warning mlx5_0:1"]);
  });

  test.each([
    ["its link_downed counter moves", up, { ...down, linkDowned: 9 }],
    ["an administrator has disabled it", up, { ...down, physicalState: 3 }],
    ["it has never been up", down, down],
    ["it cannot be read", up, { ...up, state: undefined }],
  ])("has not dropped out when %s", async (_name, first, later) => {
    const rig = createRig();
    await rig.after(0, first);
    await rig.after(15, { ...later, linkDowned: 2 });
    for (let look = 0; look < 40; look++) await rig.after(15, later);
    expect(rig.value(dropped)).not.toBe(1);
    expect(rig.told()).toEqual([]);
  });
});

describe("a port that comes and goes", () => {
  const flap = async (rig: Rig, downSeconds: number): Promise<void> => {
    await rig.after(15, down);
    await rig.after(downSeconds, down);
    await rig.after(15, up);
  };

  test("flaps at the third time within twelve hours", async () => {
    const rig = createRig();
    await rig.after(0, up);
    for (const expected of [0, 0, 1]) {
      await flap(rig, 30);
      expect(rig.value(flapping)).toBe(expected);
    }
    expect(rig.told()).toEqual([
      "infiniband_link_flap warning mlx5_0:1",
      "infiniband_link_flap warning mlx5_0:1",
      "infiniband_link_flap critical mlx5_0:1",
    ]);
    await rig.after(13 * 3600, up);
    expect([rig.value(flapping), rig.value("aami_infiniband_link_flaps_total")]).toEqual([0, 3]);
  });

  test("does not flap when it is down for an instant only", async () => {
    const rig = createRig();
    await rig.after(0, up);
    for (let time = 0; time < 5; time++) await flap(rig, 15);
    expect([rig.value(flapping), rig.told()]).toEqual([0, []]);
  });

  test("is remembered over a restart of the daemon, and not over a reboot", async () => {
    const before = createRig();
    await before.after(0, up);
    await flap(before, 30);
    await flap(before, 30);
    await before.after(15, down);
    const after = before.restart();
    expect(after.value("aami_infiniband_link_up")).toBeUndefined();
    await after.after(30, down);
    await after.after(15, up);
    expect([after.value(flapping), after.value("aami_infiniband_link_flaps_total")]).toEqual([1, 3]);
    const rebooted = after.restart("boot-2");
    await rebooted.after(60, up);
    expect([rebooted.value(flapping), rebooted.value("aami_infiniband_link_flaps_total")]).toEqual([0, 0]);
  });
});

test("a port that is gone is told once, one that was never up and one left out are not", async () => {
  const rig = createRig();
  await rig.after(0, up, { ...down, device: "mlx5_1" }, { ...up, device: "mlx5_left_out" });
  await rig.after(15);
  await rig.after(15);
  expect(rig.told()).toEqual(["infiniband_port_gone critical mlx5_0:1"]);
  expect(rig.value("aami_infiniband_link_up")).toBeUndefined();
  expect(rig.value("aami_infiniband_link_gone_since_timestamp_seconds")).toBe(Date.UTC(2026, 10, 21, 0, 0, 15) / 1000);
  expect(rig.watch.knowsPorts()).toBe(true);
  await rig.after(90_000);
  expect([rig.watch.knowsPorts(), rig.value("aami_infiniband_link_gone_since_timestamp_seconds")]).toEqual([
    false,
    undefined,
  ]);
});

test("a port that a reboot has lost is missed, down or gone", async () => {
  const before = createRig();
  await before.after(0, up);
  const lost = before.restart("boot-2");
  await lost.after(60, { ...down, linkDowned: 0 });
  await lost.after(240, { ...down, linkDowned: 0 });
  expect(lost.value(dropped)).toBe(1);
  const gone = lost.restart("boot-3");
  await gone.after(60);
  expect(gone.watch.knowsPorts()).toBe(true);
  expect(gone.told().at(-1)).toBe("infiniband_port_gone critical mlx5_0:1");
  await gone.after(60, up);
  expect([
    gone.value("aami_infiniband_link_up"),
    gone.value("aami_infiniband_link_gone_since_timestamp_seconds"),
  ]).toEqual([1, undefined]);
});

test("losses that are over before the next look are counted by the port itself", async () => {
  const rig = createRig();
  await rig.after(0, up);
  await rig.after(15, { ...up, linkDowned: 4 });
  expect([rig.value(flapping), rig.value("aami_infiniband_link_flaps_total")]).toEqual([0, 2]);
  await rig.after(15, { ...up, linkDowned: 5 });
  expect([rig.value(flapping), rig.value("aami_infiniband_link_recent_flaps")]).toEqual([1, 3]);
  // The driver was loaded again.
  await rig.after(15, { ...up, linkDowned: 0 });
  expect(rig.value("aami_infiniband_link_flaps_total")).toBe(3);
});

test("nothing is said of a port whose state cannot be read", async () => {
  const rig = createRig();
  await rig.after(0, up);
  await rig.after(15, { ...up, state: undefined });
  for (const family of ["up", "since_timestamp_seconds", "dropped"]) {
    expect(rig.value(`aami_infiniband_link_${family}`)).toBeUndefined();
  }
  expect(rig.value("aami_infiniband_link_expected")).toBe(1);
  await rig.after(15, up);
  expect(rig.value("aami_infiniband_link_up")).toBe(1);
});

test("ports that cannot be read are an error, and nothing is thought of them meanwhile", async () => {
  const rig = createRig();
  await rig.after(0, up);
  await rig.fail();
  expect(String(rig.watch.error())).toContain("timeout");
  await rig.after(300, up);
  expect([rig.watch.error(), rig.told()]).toEqual([undefined, []]);
});

test("a real probe process reads the ports of a sysfs tree", async () => {
  const sys = mkdtempSync(join(tmpdir(), "aami-infiniband-"));
  const lister = createPortLister(sys, silentLogger);
  try {
    const port = join(sys, "class/infiniband/mlx5_0/ports/1");
    mkdirSync(join(port, "counters"), { recursive: true });
    writeFileSync(join(port, "state"), "4: ACTIVE\n");
    writeFileSync(join(port, "phys_state"), "5: LinkUp\n");
    mkdirSync(join(sys, "class/infiniband/rxe0/ports/1"), { recursive: true });
    expect(await lister.list()).toMatchObject([
      { device: "mlx5_0", port: "1", state: 4, physicalState: 5 },
      { device: "rxe0", port: "1" },
    ]);
    writeFileSync(join(port, "state"), "1: DOWN\n");
    expect((await lister.list())[0]?.state).toBe(1);
  } finally {
    lister.close();
    rmSync(sys, { recursive: true });
  }
});
