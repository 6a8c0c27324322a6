import { expect, test } from "bun:test";
import type { ProbeReading } from "../../collectors/mounts/probe.ts";
import {
  afterReading,
  afterTimeout,
  initialState,
  type MountHealth,
  type MountState,
  whileStuck,
} from "../../collectors/mounts/state.ts";

const space = { sizeBytes: 100, freeBytes: 50, availBytes: 40, files: 10, filesFree: 5 };
const good: ProbeReading = { durationSeconds: 0.001, space };
const at = (seconds: number) => ({ monotonicMs: seconds * 1000, epochMs: 1_700_000_000_000 + seconds * 1000 });

type Step = (state: MountState, seconds: number) => MountState;
const reads =
  (reading: ProbeReading): Step =>
  (state, seconds) =>
    afterReading(state, reading, at(seconds));
const ok = reads(good);
const fails = (step: "statfs" | "stat" | "readdir", errno: string): Step =>
  reads({ durationSeconds: 0.001, failure: { step, errno } });
const timesOut: Step = (state, seconds) => afterTimeout(state, "stat", at(seconds));
const isStuck: Step = (state, seconds) => whileStuck(state, "statfs", at(seconds));

test.each<[string, readonly Step[], MountHealth, unhealthy: boolean]>([
  ["nothing asked", [], "unknown", false],
  ["a good probe", [ok], "ok", false],
  ["one timeout", [ok, timesOut], "slow", false],
  ["two timeouts in a row", [ok, timesOut, timesOut], "slow", true],
  ["timeouts with a good probe between", [timesOut, ok, timesOut], "slow", false],
  ["an error needs no second one", [ok, fails("stat", "EIO")], "failed", true],
  ["ESTALE at statfs", [fails("statfs", "ESTALE")], "failed", true],
  ["another user's FUSE mount", [fails("statfs", "EACCES")], "denied", false],
  ["a folder that root may not list", [fails("readdir", "EACCES")], "ok", false],
  ["one good probe after trouble", [timesOut, timesOut, ok], "ok", true],
  ["two good probes after trouble", [timesOut, timesOut, ok, ok], "ok", false],
  ["stuck for a moment", [ok, isStuck], "stuck", false],
])("%s", (_, steps, health, unhealthy) => {
  const state = steps.reduce((before, step, index) => step(before, index), initialState(at(0)));
  expect(state).toMatchObject({ health, unhealthy });
});

test("a mount that is stuck turns unhealthy after 30 s, counted from when it got stuck", () => {
  let state = isStuck(ok(initialState(at(0)), 1), 10);
  expect(state).toMatchObject({ unhealthy: false, step: "statfs" });
  state = isStuck(state, 39);
  expect(state.unhealthy).toBe(false);
  state = isStuck(state, 40);
  expect(state.unhealthy).toBe(true);
});

test("the last good reading is kept, the error with its step", () => {
  const state = fails("stat", "EIO")(ok(initialState(at(0)), 1), 31);
  expect(state).toMatchObject({ space, judgedAt: 31_000, step: "stat", errno: "EIO" });
  expect(state.lastSuccessEpochSeconds).toBe(1_700_000_001);
  expect(ok(state, 32)).not.toHaveProperty("errno");
});
