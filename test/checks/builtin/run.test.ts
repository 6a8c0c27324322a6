import { describe, expect, test } from "bun:test";
import { Type as t } from "@sinclair/typebox";
import { defineBuiltin } from "../../../checks/builtin/builtin.ts";
import { builtinDefinitions, withOwnerSettings } from "../../../checks/builtin/definitions.ts";
import { builtinChecks } from "../../../checks/builtin/registry.ts";
import { systemClock } from "../../../checks/clock.ts";
import { createBuiltinRunner } from "../../../checks/builtin/run.ts";
import { type CheckResult, statusOf } from "../../../checks/check.ts";
import { ChecksConfig } from "../../../checks/config.ts";
import { toResult } from "../../../checks/result.ts";
import { checkFamilies } from "../../../checks/metrics.ts";
import { createCheckScheduler } from "../../../checks/schedule.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { parseConfig } from "../../../runtime/config.ts";
import { silentLogger } from "../../../runtime/log.ts";
import { createFakeClock } from "../fake-clock.ts";
import { defineBuiltinCheck, runWith, toSamples } from "./grading.ts";

const thing = defineBuiltin({
  name: "thing",
  description: "For tests.",
  explanation: [],
  source: "demo",
  intervalSeconds: 60,
  parameters: t.Object({ most: t.Integer({ default: 3, minimum: 1 }) }, { additionalProperties: false }),
  grade: ({ parameters, samples, memory }) => {
    const value = samples("demo_things")[0]?.value;
    if (value === undefined) throw new Error("no things");
    const runs = typeof memory === "number" ? memory + 1 : 1;
    const summary = `${value} things, run ${runs}`;
    if (value <= parameters.most) return { findings: [], summary, memory: runs };
    return { findings: [{ status: "critical", subject: "shelf", summary, action: "reboot" }], summary, memory: runs };
  },
});
const things = (value: number) => ({ state: "ok", samples: toSamples({ demo_things: value }) }) as const;

const running = new AbortController().signal;

describe("a run", () => {
  test.each([
    ["all is well", things(2), {}, "ok", "ok", "2 things, run 1"],
    ["something is wrong", things(4), {}, "exit", "critical", "shelf: 4 things, run 1"],
    ["a parameter says otherwise", things(4), { most: 9 }, "ok", "ok", "4 things, run 1"],
    ["there is nothing to judge", { state: "absent", reason: "no shelf" }, {}, "absent", "unknown", "no shelf"],
    [
      "the source failed",
      { state: "failed", reason: "EIO" },
      {},
      "exit",
      "unknown",
      "the demo collector gave no reading: EIO",
    ],
    [
      "the check itself broke",
      { state: "ok", samples: toSamples({}) },
      {},
      "exit",
      "unknown",
      "the check broke off: no things",
    ],
    ["a parameter is unknown", things(2), { mots: 9 }, "refused", "unknown", "parameter mots: unexpected property"],
    [
      "a parameter is out of range",
      things(2),
      { most: 0 },
      "refused",
      "unknown",
      "parameter most: expected integer to be greater or equal to 1",
    ],
  ] as const)("%s", async (_what, reading, config, outcome, status, message) => {
    const run = await runWith(thing, reading, config);
    const result = toResult(defineBuiltinCheck("thing"), run, { startedAt: new Date(0), maxSeries: 1 });
    expect(run.outcome).toBe(outcome);
    if (outcome !== "absent") expect(statusOf(result)).toBe(status);
    expect(run.message).toBe(message);
  });

  test("a name that is none of ours is refused", async () => {
    const readings = { read: async () => things(1) };
    const runner = createBuiltinRunner({ readings, bootId: "b", restored: [], clock: systemClock });
    expect(await runner.run(defineBuiltinCheck("toaster"), running)).toMatchObject({
      outcome: "refused",
      message: "this daemon has no builtin check toaster",
    });
  });

  test("it remembers over runs and over a restart", async () => {
    const readings = { read: async () => things(1) };
    const options = { readings, bootId: "b", clock: systemClock, checks: [thing] };
    const first = createBuiltinRunner({ ...options, restored: [] });
    const definition = defineBuiltinCheck("thing");
    await first.run(definition, running);
    const run = await first.run(definition, running);
    expect(run.message).toBe("1 things, run 2");
    const stored = toResult(definition, run, { startedAt: new Date(0), maxSeries: 1 });
    const second = createBuiltinRunner({ ...options, restored: [JSON.parse(JSON.stringify(stored))] });
    expect((await second.run(definition, running)).message).toBe("1 things, run 3");
  });
});

describe("which checks run", () => {
  test("all that are not switched off, with the owner's parameters", () => {
    const definitions = builtinDefinitions(
      { zombies: { enabled: false }, root_disk: { interval_seconds: 10, warning_free_ratio: 0.2 } },
      [],
    );
    expect(definitions.map(({ name }) => name)).toEqual(
      builtinChecks.map(({ name }) => name).filter((name) => name !== "zombies"),
    );
    expect(definitions.find(({ name }) => name === "root_disk")).toMatchObject({
      schedule: { intervalSeconds: 10 },
      config: { warning_free_ratio: 0.2 },
      source: "builtin",
    });
  });

  test("a policy takes the place of the one of its name, and the owner's parameters win", () => {
    const policy = { ...defineBuiltinCheck("zombies", { warning_processes: 7, critical_processes: 8 }), policyId: "p" };
    const [merged, ...others] = withOwnerSettings({ zombies: { critical_processes: 9 } }, [policy]);
    expect(others).toEqual([]);
    expect(merged?.config).toEqual({ warning_processes: 7, critical_processes: 9 });
    expect(builtinDefinitions({}, [policy]).map(({ name }) => name)).not.toContain("zombies");
    expect(withOwnerSettings({ zombies: { enabled: false } }, [policy])).toEqual([]);
  });

  test("names, parameters and explanations are complete", () => {
    const names = builtinChecks.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    for (const { name, explanation, parameters, parse } of builtinChecks) {
      expect(name).toMatch(/^[a-z][a-z0-9_]+$/);
      expect(explanation.length).toBeGreaterThan(0);
      expect("parameters" in parse({})).toBe(true);
      for (const [key, property] of Object.entries(parameters.properties)) {
        expect([name, key, property.description === undefined]).toEqual([name, key, false]);
      }
    }
  });
});

test("status, since when and what to do are on the page; what is absent is not", async () => {
  const clock = createFakeClock();
  let value = 1;
  const runner = createBuiltinRunner({
    readings: { read: async (name) => (name === "demo" ? things(value) : { state: "absent", reason: "none" }) },
    bootId: "b",
    restored: [],
    clock,
    checks: [thing, { ...thing, name: "other", source: "nothing" }],
  });
  const scheduler = createCheckScheduler({
    nodeId: "n",
    concurrency: 2,
    maxSeries: 10,
    log: silentLogger,
    clock,
    run: runner.run,
  });
  const page = () =>
    encodeFamilies(checkFamilies(scheduler.status()))
      .map(({ text }) => text)
      .join("");
  scheduler.replace([defineBuiltinCheck("thing"), defineBuiltinCheck("other")]);
  await clock.advance(6);
  const wentOk = scheduler.status()[0]?.result?.since;
  expect(page()).toContain('aami_check_status{check="thing",status="ok"} 1\n');
  expect(page()).not.toContain('check="other"');
  expect(page()).toContain("aami_checks_total 1\n");
  await clock.advance(120);
  expect(scheduler.status()[0]?.result?.since).toBe(wentOk ?? "");
  value = 5;
  await clock.advance(120);
  expect(page()).toContain('aami_check_status{check="thing",status="critical"} 1\n');
  expect(page()).toContain('aami_check_status{check="thing",status="ok"} 0\n');
  expect(page()).toContain('aami_check_suggested_action{action="reboot",check="thing"} 1\n');
  expect(page()).toContain('aami_check_findings{check="thing"} 1\n');
  expect(Date.parse(scheduler.status()[0]?.result?.since ?? "")).toBeGreaterThan(Date.parse(wentOk ?? ""));
  await scheduler.stop();
});

test("since when survives a restart, and ends with the status", async () => {
  const clock = createFakeClock();
  let value = 5;
  const stored: CheckResult[] = [];
  const start = (restored: readonly CheckResult[]) => {
    const readings = { read: async () => things(value) };
    const runner = createBuiltinRunner({ readings, bootId: "b", restored, clock, checks: [thing] });
    const scheduler = createCheckScheduler({
      nodeId: "n",
      concurrency: 1,
      maxSeries: 1,
      log: silentLogger,
      clock,
      restored,
      onResult: (result) => void stored.push(JSON.parse(JSON.stringify(result)) as CheckResult),
      run: runner.run,
    });
    scheduler.replace([defineBuiltinCheck("thing")]);
    return scheduler;
  };
  const first = start([]);
  await clock.advance(200);
  await first.stop();
  const since = stored[0]?.since;
  clock.sleep(3600);
  const second = start(stored.slice(-1));
  await clock.advance(200);
  expect(second.status()[0]?.result).toMatchObject({ since, message: expect.stringContaining("run 8") });
  value = 1;
  await clock.advance(60);
  expect(second.status()[0]?.result?.since).not.toBe(since);
  await second.stop();
});

test.each([
  ["checks: { builtin: { smrat: {} } }", 'unknown key "smrat"'],
  ["checks: { builtin: { smart: { growth: 1 } } }", 'unknown key "growth"'],
  ["checks: { builtin: { smart: { growth_hours: yes } } }", "growth_hours"],
  ["checks: { builtin: { zombies: { critical_processes: 0 } } }", "critical_processes"],
])("daemon.yaml with %s is refused", (text, message) => {
  expect(() => parseConfig(t.Object({ checks: ChecksConfig }), text, "daemon.yaml")).toThrow(message);
});

test("parameters that are not written leave the word to a policy", () => {
  const { checks } = parseConfig(
    t.Object({ checks: ChecksConfig }),
    "checks: { builtin: { zombies: { critical_processes: 9 } } }",
    "daemon.yaml",
  );
  expect(checks.builtin).toEqual({ zombies: { critical_processes: 9 } });
});

test("a source that is not ready yet is asked again soon, and called unknown only after a while", async () => {
  const clock = createFakeClock();
  let isReady = false;
  const readings = {
    read: async () => (isReady ? things(1) : ({ state: "failed", reason: "not read yet" } as const)),
  };
  const runner = createBuiltinRunner({ readings, bootId: "b", restored: [], clock, checks: [thing] });
  const scheduler = createCheckScheduler({
    nodeId: "n",
    concurrency: 1,
    maxSeries: 1,
    log: silentLogger,
    clock,
    run: runner.run,
  });
  scheduler.replace([defineBuiltinCheck("thing")]);
  await clock.advance(20);
  expect(scheduler.status()[0]?.result).toBeUndefined();
  isReady = true;
  await clock.advance(4);
  expect(scheduler.status()[0]?.result?.outcome).toBe("ok");
  isReady = false;
  await clock.advance(61);
  expect(scheduler.status()[0]?.result?.verdict?.status).toBe("unknown");
  await scheduler.stop();
});

test("a stop does not wait for a source that hangs", async () => {
  const readings = { read: () => new Promise<never>(() => {}) };
  const runner = createBuiltinRunner({ readings, bootId: "b", restored: [], clock: systemClock, checks: [thing] });
  const abort = new AbortController();
  const run = runner.run(defineBuiltinCheck("thing"), abort.signal);
  abort.abort();
  expect((await run).message).toBe("the daemon stops");
  expect((await runner.run(defineBuiltinCheck("thing"), abort.signal)).message).toBe("the daemon stops");
});
