import { describe, expect, test } from "bun:test";
import { type CheckDefinition, type CheckResult, type CheckRun, definitionKey, sha256Hex } from "../../checks/check.ts";
import { createCheckScheduler, type SchedulerOptions } from "../../checks/schedule.ts";
import { jitterOf } from "../../checks/timing.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { createLogger, silentLogger } from "../../runtime/log.ts";
import { createFakeClock } from "./fake-clock.ts";

const script = new TextEncoder().encode("echo");

function define(name: string, changes: Partial<CheckDefinition> = {}): CheckDefinition {
  return {
    name,
    language: "bash",
    script,
    scriptSha256: sha256Hex(script),
    config: {},
    schedule: { intervalSeconds: 60 },
    timeoutSeconds: 30,
    permissions: {},
    source: "bundle",
    ...changes,
  };
}

const printed = (text: string, changes: Partial<CheckRun> = {}): CheckRun => ({
  outcome: "ok",
  exitCode: 0,
  durationSeconds: 0.1,
  stdout: new TextEncoder().encode(text),
  stderr: new Uint8Array(),
  message: "",
  leftBehind: false,
  ...changes,
});

/** A scheduler whose runs are ended by the test, or at once with the text given. */
function setUp(options: Partial<SchedulerOptions> & { readonly answer?: (check: CheckDefinition) => CheckRun } = {}) {
  const clock = createFakeClock();
  const started: { name: string; at: number; end: (run: CheckRun) => void; signal: AbortSignal }[] = [];
  const stored: CheckResult[] = [];
  const { answer, ...rest } = options;
  const scheduler = createCheckScheduler({
    nodeId: "node-1",
    concurrency: 8,
    maxSeries: 10,
    log: silentLogger,
    clock,
    onResult: (result) => void stored.push(result),
    run: (definition, signal) =>
      new Promise((end) => {
        started.push({ name: definition.name, at: clock.monotonicSeconds(), end, signal });
        signal.addEventListener("abort", () => end(printed("", { outcome: "timeout" })));
        if (answer !== undefined) end(answer(definition));
      }),
    ...rest,
  });
  const page = () =>
    encodeFamilies(scheduler.families())
      .map(({ text }) => text)
      .join("");
  return { clock, started, stored, scheduler, page };
}

describe("the log", () => {
  test.each([
    ["warning", { outcome: "exit", exitCode: 1 }, "check found something", { status: "warning" }],
    ["critical", { outcome: "exit", exitCode: 2 }, "check found something", { status: "critical" }],
    ["cannot tell", { outcome: "exit", exitCode: 3 }, "check gave no verdict", { reason: "exit" }],
    ["is cut off", { outcome: "timeout" }, "check gave no verdict", { reason: "timeout" }],
  ] as const)("a check that %s", async (_what, changes, msg, facts) => {
    const lines: unknown[] = [];
    const log = createLogger({ write: (line) => void lines.push(JSON.parse(line)) });
    const { clock, scheduler } = setUp({ log, answer: () => printed("", changes) });
    scheduler.replace([define("one")]);
    await clock.advance(200);
    expect(lines).toEqual([expect.objectContaining({ level: "warn", msg, check: "one", ...facts })]);
  });
});

describe("timing", () => {
  test("the first run comes within seconds, the later ones once per interval", async () => {
    const { clock, started, scheduler } = setUp({ answer: () => printed("a 1") });
    scheduler.replace([define("one")]);
    await clock.advance(5);
    expect(started).toHaveLength(1);
    await clock.advance(3600);
    expect(started.length).toBeWithin(60, 63);
    const gaps = started.slice(2).map(({ at }, index) => at - (started[index + 1]?.at ?? 0));
    expect(new Set(gaps.map((gap) => Math.round(gap)))).toEqual(new Set([60]));
  });

  test("two nodes run at different moments, one node always at the same", () => {
    expect(jitterOf("node-1", "one")).toBe(jitterOf("node-1", "one"));
    expect(jitterOf("node-1", "one")).not.toBe(jitterOf("node-2", "one"));
  });

  test("a machine that slept for an hour runs a check once, not sixty times", async () => {
    const { clock, started, scheduler } = setUp({ answer: () => printed("a 1") });
    scheduler.replace([define("one")]);
    await clock.advance(100);
    const before = started.length;
    clock.sleep(3600);
    await clock.advance(1);
    expect(started.length).toBe(before + 1);
  });

  test("no overlap: a slow check loses the runs in between, counted", async () => {
    const { clock, started, scheduler, page } = setUp();
    scheduler.replace([define("slow", { schedule: { intervalSeconds: 10 } })]);
    await clock.advance(60);
    expect(started).toHaveLength(1);
    started[0]?.end(printed("a 1"));
    await clock.advance(11);
    expect(started).toHaveLength(2);
    expect(page()).toMatch(/aami_check_skipped_runs_total\{check="slow"\} [4-6]/);
  });

  test("never more at once than the limit, and everyone gets a turn", async () => {
    const { clock, started, scheduler } = setUp({ concurrency: 2 });
    const names = ["a", "b", "c", "d", "e"];
    scheduler.replace(names.map((name) => define(name)));
    await clock.advance(6);
    expect(started).toHaveLength(2);
    for (let index = 0; index < 5; index++) {
      started[index]?.end(printed("x 1"));
      await clock.advance(0.01);
      expect(started.length).toBe(Math.min(5, index + 3));
    }
    expect(started.map(({ name }) => name).sort()).toEqual(names);
  });

  test("a cron pattern runs at its times only, shifted by the node's share", async () => {
    const { clock, started, scheduler } = setUp({ answer: () => printed("a 1") });
    scheduler.replace([define("nightly", { schedule: { cron: "*/10 * * * *" } })]);
    await clock.advance(5 * 60);
    expect(started).toHaveLength(0);
    await clock.advance(55 * 60);
    expect(started).toHaveLength(6);
  });

  test("a clock that is set during the wait does not cost the run", async () => {
    const { clock, started, scheduler } = setUp({ answer: () => printed("a 1") });
    clock.setWallClock("1970-01-01T00:00:10Z");
    scheduler.replace([define("nightly", { schedule: { cron: "0 3 * * *" } })]);
    clock.setWallClock("2026-11-20T02:58:00Z");
    await clock.advance(300);
    expect(started).toHaveLength(1);
  });

  test.each(["61 * * * *", "every minute", ""])("the pattern %p is refused with a reason", (cron) => {
    const { scheduler, page } = setUp();
    scheduler.replace([define("bad", { schedule: { cron } }), define("good")]);
    expect(page()).toContain('aami_check_error{check="bad",reason="refused"} 1');
    expect(scheduler.status()[0]?.result?.message).toContain("cannot read the schedule");
  });
});

describe("results", () => {
  test("go to the page with the check's name, and to the store", async () => {
    const { clock, scheduler, stored, page } = setUp({ answer: () => printed('mount_check{path="/data"} 1\n') });
    scheduler.replace([define("mount", { policyId: "p1", groupId: "g1" })]);
    await clock.advance(5);
    expect(page()).toContain('mount_check{check="mount",path="/data"} 1\n');
    expect(page()).toContain('aami_check_success{check="mount"} 1\n');
    expect(page()).toContain('aami_check_runs_total{check="mount",outcome="ok"} 1\n');
    expect(page()).toContain('policy_group_id="g1"');
    expect(page()).not.toContain("aami_check_error");
    expect(stored).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(stored[0]))).toEqual(stored[0]);
  });

  test.each<[string, CheckRun, string, boolean]>([
    ["bad output", printed("nonsense"), "syntax", false],
    ["exit 2 with good output", printed("a 1", { outcome: "exit", exitCode: 2 }), "exit", true],
    ["exit 127 with good output", printed("a 1", { outcome: "exit", exitCode: 127 }), "exit", false],
    ["a timeout with good output", printed("a 1", { outcome: "timeout", exitCode: undefined }), "timeout", false],
    ["cut output", printed("a 1", { outcome: "output", exitCode: undefined }), "output", false],
  ])("%s", async (_name, run, reason, published) => {
    const { clock, scheduler, page } = setUp({ answer: () => run });
    scheduler.replace([define("one")]);
    await clock.advance(5);
    expect(page()).toContain(`aami_check_error{check="one",reason="${reason}"} 1\n`);
    expect(page()).toContain('aami_check_success{check="one"} 0\n');
    expect(page().includes('a{check="one"} 1')).toBe(published);
  });

  test("a series that was not printed again is gone at once", async () => {
    let text = "a 1\nb 1\n";
    const { clock, scheduler, page } = setUp({ answer: () => printed(text) });
    scheduler.replace([define("one")]);
    await clock.advance(5);
    text = "a 1\n";
    await clock.advance(60);
    expect(page()).toContain('a{check="one"} 1\n');
    expect(page()).not.toContain("b{");
  });

  test("new label values with every run are refused in the end", async () => {
    let run = 0;
    const { clock, scheduler, page } = setUp({ answer: () => printed(`a{pid="${run++}"} 1`) });
    scheduler.replace([define("creep")]);
    await clock.advance(8 * 60);
    expect(page()).toContain('aami_check_success{check="creep"} 1\n');
    await clock.advance(5 * 60);
    expect(page()).toContain('aami_check_error{check="creep",reason="cardinality"} 1\n');
  });

  test("two checks with one name of different type share an untyped family", async () => {
    const { clock, scheduler, page } = setUp({
      answer: ({ name }) => printed(`# TYPE a ${name === "one" ? "gauge" : "counter"}\na 1`),
    });
    scheduler.replace([define("one"), define("two")]);
    await clock.advance(5);
    expect(page()).toContain('# TYPE a untyped\na{check="one"} 1\na{check="two"} 1\n');
  });

  test("disappear when they are too old because the check never gets its turn", async () => {
    const { clock, started, scheduler, page } = setUp();
    scheduler.replace([define("one")]);
    await clock.advance(5);
    started[0]?.end(printed("a 1"));
    await clock.advance(300);
    expect(page()).toContain('a{check="one"} 1\n');
    await clock.advance(600);
    expect(page()).not.toContain('a{check="one"}');
    expect(page()).toContain("aami_check_last_run_timestamp_seconds");
  });
});

describe("a new set of checks", () => {
  test("keeps what did not change, drops what is gone, keeps the old result of what changed until it has run", async () => {
    const { clock, started, scheduler, page } = setUp();
    scheduler.replace([define("kept"), define("changed"), define("removed")]);
    await clock.advance(5);
    for (const { name, end } of started) end(printed(`${name}_value 1`));
    await clock.advance(0);
    scheduler.replace([define("kept"), define("changed", { config: { x: 1 } })]);
    expect(page()).toContain("kept_value{");
    expect(page()).toContain("changed_value{");
    expect(page()).not.toContain("removed");
    await clock.advance(5);
    expect(started.map(({ name }) => name).slice(3)).toEqual(["changed"]);
    started[3]?.end(printed("changed_value 2"));
    await clock.advance(0);
    expect(page()).toContain('changed_value{check="changed"} 2\n');
  });

  test("ends the runs of removed checks and ignores what they still say", async () => {
    const { clock, started, stored, scheduler, page } = setUp();
    scheduler.replace([define("removed")]);
    await clock.advance(5);
    scheduler.replace([]);
    expect(started[0]?.signal.aborted).toBe(true);
    await clock.advance(1);
    expect(stored).toEqual([]);
    expect(page()).toContain("aami_checks_total 0\n");
  });
});

describe("restart", () => {
  const definition = define("one");
  const result = (changes: Partial<CheckResult> = {}): CheckResult => ({
    check: "one",
    definition: definitionKey(definition),
    startedAt: "2026-11-20T10:00:00.000Z",
    durationSeconds: 1,
    outcome: "ok",
    families: [{ name: "a", help: "A.", type: "gauge", samples: [{ labels: { check: "one" }, value: 1 }] }],
    ...changes,
  });

  test.each<[string, CheckResult, boolean]>([
    ["a fresh result is shown with its own time", result(), true],
    ["an old one is not", result({ startedAt: "2026-11-20T09:00:00.000Z" }), false],
    ["one of another definition is not", result({ definition: "0".repeat(64) }), false],
  ])("%s", (_name, restored, shown) => {
    const { scheduler, page } = setUp({ restored: [restored] });
    scheduler.replace([definition]);
    expect(page().includes('a{check="one"} 1')).toBe(shown);
    if (shown) expect(page()).toContain('aami_check_last_run_timestamp_seconds{check="one"} 1.7951688e+09\n');
  });

  test("what was so before the start is not so again when a check is taken away and comes back", async () => {
    const { clock, scheduler, page } = setUp({ restored: [result()], answer: () => printed("a 2\n") });
    scheduler.replace([definition]);
    await clock.advance(120);
    expect(page()).toContain('a{check="one"} 2\n');
    scheduler.replace([]);
    scheduler.replace([definition]);
    expect(page()).not.toContain('a{check="one"}');
  });
});

test("stop kills what runs, starts nothing more and waits for the end", async () => {
  const { clock, started, scheduler } = setUp({ concurrency: 1 });
  scheduler.replace([define("a"), define("b")]);
  await clock.advance(5);
  const stopped = scheduler.stop();
  expect(started[0]?.signal.aborted).toBe(true);
  await stopped;
  await clock.advance(600);
  expect(started).toHaveLength(1);
});
