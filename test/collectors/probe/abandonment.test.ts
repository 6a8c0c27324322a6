import { expect, test } from "bun:test";
import { createAbandonment } from "../../../collectors/probe/abandonment.ts";
import { createLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";

test("a process that does not go is named once when it becomes stuck and once when it has gone", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => void lines.push(line) });
  await using sleeper = Bun.spawn(["sleep", "60"]);
  const abandonment = createAbandonment("mount", log);
  abandonment.add({ job: "mount /data", step: "statfs", pid: sleeper.pid, since: performance.now() });
  expect(abandonment.find("mount /data")).toMatchObject({ step: "statfs", pid: sleeper.pid });
  expect(abandonment.find("mount /other")).toBeUndefined();
  await waitFor("the line", () => lines.length > 0);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { level: "error", pool: "mount", job: "mount /data", step: "statfs", pid: sleeper.pid },
  ]);
  abandonment.reaped(sleeper.pid);
  expect(abandonment.count()).toBe(0);
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    "probe job is stuck in the kernel, its process cannot be ended",
    "stuck probe job has come back",
  ]);
});

test("a process that goes at once is not worth a line", () => {
  const lines: string[] = [];
  const abandonment = createAbandonment("mount", createLogger({ write: (line) => void lines.push(line) }));
  abandonment.add({ job: "mount /data", step: "statfs", pid: process.pid, since: performance.now() });
  abandonment.reaped(process.pid);
  expect(abandonment.jobs()).toEqual([]);
  expect(lines).toEqual([]);
});
