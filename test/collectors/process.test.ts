import { Type } from "@sinclair/typebox";
import { describe, expect, test } from "bun:test";
import { type CollectorBody, defineCollector, NoDataError } from "../../collectors/collector.ts";
import { createProbePool } from "../../collectors/probe/pool.ts";
import type { JobResult } from "../../collectors/probe/worker.ts";
import { createCollectJobs } from "../../collectors/process.ts";
import { silentLogger } from "../../runtime/log.ts";
import { selfCommand } from "../../runtime/self.ts";

const paths = { procPath: "/proc", sysPath: "/sys", rootPath: "/", udevDataPath: "/run/udev/data" };

function jobsOf(body: CollectorBody): (params?: unknown) => Promise<JobResult> {
  const definition = defineCollector({
    name: "test",
    description: "For the test.",
    enabledByDefault: true,
    options: Type.Object({}),
    create: () => body,
  });
  const jobs = createCollectJobs([definition], { paths, collectors: { test: {} } });
  const collect = jobs.collect;
  if (collect === undefined) throw new Error("no handler");
  return async (params = null) => collect(params, { job: "collect test", deadlineMs: 5000, step: () => {} });
}

const family = {
  name: "node_ü",
  help: "Help.",
  type: "gauge",
  samples: [
    { labels: { x: "é" }, value: 1 },
    { labels: { x: "é" }, value: 2 },
  ],
} as const;

describe("collector process", () => {
  test("answers families with their length in bytes, duplicates left out", async () => {
    const { header, payload } = await jobsOf({ collect: async () => [family] })();
    const text = '# HELP node_ü Help.\n# TYPE node_ü gauge\nnode_ü{x="é"} 1\n';
    expect(header).toMatchObject({ state: "ok", skipped: 0, series: 1, lengths: [Buffer.byteLength(text)] });
    expect(payload).toBe(text);
  });

  test("the names of the families are told again only when they change", async () => {
    let name = "a";
    const run = jobsOf({ collect: async () => [{ ...family, name }] });
    const first = (await run()).header;
    expect(first?.names).toEqual(["a"]);
    const second = (await run({ knownNamesId: first?.namesId })).header;
    expect(second?.names).toBeUndefined();
    expect(second?.namesId).toBe(first?.namesId);
    name = "b";
    const third = (await run({ knownNamesId: first?.namesId })).header;
    expect(third?.names).toEqual(["b"]);
    expect(third?.namesId).not.toBe(first?.namesId);
  });

  test.each<[string, CollectorBody, object]>([
    [
      "absent by detect",
      { detect: async () => ({ supported: false, reason: "no such device" }), collect: async () => [family] },
      { state: "absent", error: "no such device", series: 0 },
    ],
    [
      "absent by NoDataError",
      { collect: () => Promise.reject(new NoDataError("no file")) },
      { state: "absent", error: "no file" },
    ],
    [
      "failed by a throw, with its cause",
      { collect: () => Promise.reject(new Error("outer", { cause: new Error("inner") })) },
      { state: "failed", error: "outer: inner" },
    ],
    [
      "failed when detect throws",
      { detect: () => Promise.reject(new Error("EIO")), collect: async () => [] },
      { state: "failed", error: "EIO" },
    ],
  ])("%s", async (_, body, expected) => {
    expect((await jobsOf(body)()).header).toMatchObject(expected);
  });

  test("a source that has gone, with its driver, is absent and no success", async () => {
    let isThere = true;
    const run = jobsOf({
      detect: async () => (isThere ? { supported: true } : { supported: false, reason: "no such device" }),
      collect: async () => (isThere ? [family] : []),
    });
    expect((await run()).header).toMatchObject({ state: "ok" });
    isThere = false;
    expect((await run()).header).toMatchObject({ state: "absent", error: "no such device" });
    isThere = true;
    expect((await run()).header).toMatchObject({ state: "ok" });
  });

  test("detect is asked again only while it says no", async () => {
    let asked = 0;
    const run = jobsOf({
      detect: async () => (++asked < 3 ? { supported: false, reason: "not yet" } : { supported: true }),
      collect: async () => [family],
    });
    const states = [];
    for (let index = 0; index < 5; index++) states.push((await run()).header?.state);
    expect(states).toEqual(["absent", "absent", "ok", "ok", "ok"]);
    expect(asked).toBe(3);
  });

  test("a left-out reading is counted each time and listed once", async () => {
    const run = jobsOf({
      collect: async (host) => {
        host.skipped("/sys/a", new Error("EIO"));
        host.skipped("/sys/b", new Error("EINVAL"));
        return [];
      },
    });
    expect((await run()).header).toMatchObject({ skipped: 2, skippedNew: ["/sys/a: EIO", "/sys/b: EINVAL"] });
    expect((await run()).header).toMatchObject({ skipped: 2 });
    expect((await run()).header?.skippedNew).toBeUndefined();
  });

  test("the real process collects the real load average", async () => {
    const pool = createProbePool({
      name: "collect",
      command: selfCommand("probe", "collect"),
      setup: { paths, collectors: { loadavg: {} } },
      log: silentLogger,
    });
    const outcome = await pool.run("collect loadavg", {}, { deadlineMs: 20_000 });
    const unknown = await pool.run("collect nonsense", {}, { deadlineMs: 20_000 });
    pool.close();
    expect(outcome).toMatchObject({ status: "done", header: { state: "ok", series: 3 } });
    const text = outcome.status === "done" ? Buffer.from(outcome.payload).toString() : "";
    expect(text).toMatch(/^# HELP node_load1 1m load average\.\n# TYPE node_load1 gauge\nnode_load1 [\d.]+\n/);
    expect(unknown).toEqual({ status: "failed", error: "no collector nonsense in this process" });
  });
});
