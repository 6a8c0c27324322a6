import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { readReleaseRequest, writeReleaseRequest } from "../../../collectors/nvidia/release.ts";
import { selfCommand } from "../../../runtime/self.ts";
import { createWorkspace } from "../../harness/workspace.ts";

const nowMs = 1_000_000;
const day = 24 * 3_600_000;

test.each([
  ["a time to come", '{"untilMs":1005000}', { untilMs: 1_005_000 }],
  ["a time gone by", '{"untilMs":999999}', undefined],
  ["a day at most", `{"untilMs":${nowMs + day}}`, { untilMs: nowMs + day }],
  ["a time far off: nobody would take the devices back", '{"untilMs":1e300}', undefined],
  ["no number", '{"untilMs":"soon"}', undefined],
  ["no object", "17", undefined],
  ["null", "null", undefined],
  ["half a file", '{"untilMs":10', undefined],
  ["an empty file", "", undefined],
])("%s", (_, text, wanted) => {
  using workspace = createWorkspace();
  writeFileSync(workspace.file("gpu-release"), text);
  expect(readReleaseRequest(workspace.file("gpu-release"), nowMs)).toEqual(wanted);
});

test("a folder in its place asks for nothing", () => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("gpu-release"));
  expect(readReleaseRequest(workspace.file("gpu-release"), nowMs)).toBeUndefined();
});

test("no file asks for nothing; a request makes the folder it needs", () => {
  using workspace = createWorkspace();
  const file = workspace.file("run/gpu-release");
  expect(readReleaseRequest(file, nowMs)).toBeUndefined();
  writeReleaseRequest(file, { untilMs: nowMs + 1 });
  expect(readReleaseRequest(file, nowMs)).toEqual({ untilMs: nowMs + 1 });
});

test("aami gpu release that no daemon answers takes its request back", () => {
  using workspace = createWorkspace();
  const command = selfCommand("gpu", "release", "--file", workspace.file("run/gpu-release"));
  const { exitCode, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
  expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining("the daemon has not answered")]);
  expect(readdirSync(workspace.file("run"))).toEqual([]);
}, 60_000);
