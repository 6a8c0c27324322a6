import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBegunJob } from "../../../collectors/probe/begun-job.ts";
import type { JobOutcome } from "../../../collectors/probe/jobs.ts";
import { createProbePool, type ProbePool, type ProbePoolOptions } from "../../../collectors/probe/pool.ts";
import { isErrno } from "../../../collectors/read.ts";
import { createLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";

const generous = { deadlineMs: 60_000 };
const lines: string[] = [];
const log = createLogger({ level: "debug", write: (line) => void lines.push(line) });
const folder = mkdtempSync(join(tmpdir(), "aami-pool-"));
const pools: ProbePool[] = [];

afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  lines.length = 0;
});
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function openPool(options: Partial<ProbePoolOptions> = {}, ...args: readonly string[]): ProbePool {
  const command = [process.execPath, join(import.meta.dir, "probe-fixture.ts"), ...args];
  const pool = createProbePool({ name: "test", command, setup: {}, log, ...options });
  pools.push(pool);
  return pool;
}

function makeFifo(name: string): string {
  const path = join(folder, name);
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

/** Lets a reader that is blocked in open() or read() go on. */
function writeFifo(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  writeSync(fd, text);
  closeSync(fd);
}

/** False while nobody waits for it. */
function isWritten(fifo: string, text: string): boolean {
  try {
    writeFifo(fifo, text);
    return true;
  } catch (error) {
    if (isErrno(error, "ENXIO")) return false;
    throw error;
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  await waitFor(what, condition);
}

/** Has the pool run a job that reads a FIFO which nobody writes, up to its deadline. */
async function hang(pool: ProbePool, job: string, path: string): Promise<void> {
  // With a process that is there, and time to begin on a busy machine.
  await pidOf(pool);
  expect(await pool.run(job, { path }, { deadlineMs: 2000 })).toEqual({ status: "timeout", step: "open", begun: true });
}

async function pidOf(pool: ProbePool): Promise<number> {
  const outcome = await pool.run("pid", {}, generous);
  return outcome.status === "done" ? Number(outcome.header.pid) : Number.NaN;
}

describe("probe pool", () => {
  test("runs jobs one after the other in one process", async () => {
    const pool = openPool();
    const outcomes = await Promise.all([
      pool.run("echo a", { x: 1 }, generous),
      pool.run("echo b", "ü", generous),
      pool.run("pid", {}, generous),
    ]);
    expect(outcomes.slice(0, 2)).toEqual([
      { status: "done", header: { job: "echo a", params: { x: 1 } }, payload: new Uint8Array(Buffer.from("payload")) },
      { status: "done", header: { job: "echo b", params: "ü" }, payload: new Uint8Array(Buffer.from("payload")) },
    ] as never);
    expect(pool.processes()).toEqual({ running: 1, abandoned: 0 });
  });

  test("the same job asked for twice runs once", async () => {
    const path = join(folder, "once");
    const pool = openPool();
    await Promise.all(Array.from({ length: 5 }, () => pool.run("note x", { path, milliseconds: 0 }, generous)));
    expect(readFileSync(path, "utf8")).toBe("note x\n");
  });

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s for every process of a unit ends none of the pool's",
    async (signal) => {
      const pool = openPool();
      const pid = await pidOf(pool);
      process.kill(pid, signal);
      const answers = await Promise.all([pool.run("echo a", "ü", generous), pidOf(pool)]);
      expect(answers[0].status).toBe("done");
      expect(answers[1]).toBe(pid);
    },
  );

  test("a failing job and an unknown one answer with their error", async () => {
    const pool = openPool();
    expect(await pool.run("fail", {}, generous)).toEqual({ status: "failed", error: "as asked" });
    expect(await pool.run("nonsense", {}, generous)).toEqual({
      status: "failed",
      error: "no handler for the job nonsense",
    });
  });

  test.each([1, 65_536, 1_000_000, 20_000_000])("a payload of %d bytes arrives whole", async (size) => {
    const outcome = await openPool().run("bytes", size, generous);
    expect(outcome.status === "done" && outcome.payload.length).toBe(size);
    expect(outcome.status === "done" && outcome.payload.every((byte) => byte === 0x61)).toBe(true);
  });

  test("more steps than the pipe holds", async () => {
    const seen: string[] = [];
    await openPool().run("steps", 5000, { ...generous, onStep: (step) => seen.push(step) });
    expect(seen).toHaveLength(5000);
  });

  test("a process blocked in a file is overtaken: the jobs behind it run elsewhere", async () => {
    const pool = openPool({ silenceMs: 300 });
    const path = makeFifo("overtaken");
    const blocked = pool.run("read slow", { path }, generous);
    const others = await Promise.all([pool.run("echo a", 1, generous), pool.run("echo b", 2, generous)]);
    expect(others.map(({ status }) => status)).toEqual(["done", "done"]);
    expect(pool.processes().running).toBeGreaterThanOrEqual(2);
    writeFifo(path, "late but in time");
    const outcome = await blocked;
    expect(outcome.status === "done" && Buffer.from(outcome.payload).toString()).toBe("late but in time");
  });

  test("a job past its deadline ends as timeout with its step, and the process is killed and replaced", async () => {
    const pool = openPool();
    const before = await pidOf(pool);
    await hang(pool, "read dead", makeFifo("deadline"));
    await until(() => pool.processes().running === 0, "the killed process is reaped");
    expect(await pidOf(pool)).not.toBe(before);
    expect(() => process.kill(before, 0)).toThrow("ESRCH");
    expect(lines.filter((line) => line.includes("does not answer in time"))).toHaveLength(1);
  });

  test("a job that says nothing is known to be the one that its process is stuck in", async () => {
    const pool = openPool({ silenceMs: 20_000 }, "hold");
    const path = join(folder, "silent");
    await pidOf(pool);
    const quick = pool.run("note quick", { path, milliseconds: 0 }, generous);
    const stuck = pool.run("note stuck", { path, milliseconds: 60_000 }, { deadlineMs: 2000 });
    const behind = pool.run("note behind", { path, milliseconds: 0 }, generous);
    expect(await stuck).toEqual({ status: "timeout", step: "begin", begun: true });
    expect((await Promise.all([quick, behind])).map(({ status }) => status)).toEqual(["done", "done"]);
  });

  test("jobs overtaken by a slow one run exactly once", async () => {
    const path = join(folder, "exactly-once");
    const pool = openPool({ silenceMs: 300 });
    const names = ["slow", ...Array.from({ length: 20 }, (_, index) => `quick${index}`)];
    const outcomes = await Promise.all(
      names.map((name) => pool.run(`note ${name}`, { path, milliseconds: name === "slow" ? 700 : 1 }, generous)),
    );
    expect(outcomes.every(({ status }) => status === "done")).toBe(true);
    const ran = readFileSync(path, "utf8").trim().split("\n");
    expect(ran.toSorted()).toEqual(names.map((name) => `note ${name}`).toSorted());
  });

  test("where processes are slow to start, a slow job is not overtaken", async () => {
    const path = join(folder, "slow-machine");
    const pool = openPool({ silenceMs: 300 }, "slow-start");
    const names = Array.from({ length: 4 }, (_, index) => `note ${index}`);
    await Promise.all(names.map((name) => pool.run(name, { path, milliseconds: 500 }, generous)));
    expect(pool.processes()).toEqual({ running: 1, abandoned: 0 });
  });

  test("a job that waits behind slow ones ends as timeout and is not run twice", async () => {
    const path = join(folder, "expired");
    const pool = openPool({ silenceMs: 20_000 });
    await pidOf(pool); // both are sent at once
    const slow = pool.run("note slow", { path, milliseconds: 1500 }, generous);
    const waiting = pool.run("note waiting", { path, milliseconds: 0 }, { deadlineMs: 500 });
    expect(await waiting).toMatchObject({ status: "timeout", begun: false });
    expect((await slow).status).toBe("done");
    await pool.run("echo", {}, generous);
    expect(readFileSync(path, "utf8")).toBe("note slow\nnote waiting\n");
  });

  test("a job that was given up before it began, and then hangs, is ended all the same", async () => {
    const path = join(folder, "expired-hanging");
    const fifo = makeFifo("given-up");
    const pool = openPool({ silenceMs: 2000 });
    const before = await pidOf(pool);
    const slow = pool.run("note slow", { path, milliseconds: 1500 }, generous);
    const late = pool.run("read late", { path: fifo }, { deadlineMs: 500 });
    expect(await late).toMatchObject({ status: "timeout", begun: false });
    expect((await slow).status).toBe("done");
    await until(() => !existsSync(`/proc/${before}`), "its process is gone");
    // The name is free again.
    const next = pool.run("read late", { path: fifo }, generous);
    await until(() => isWritten(fifo, "answer"), "it is run again");
    expect((await next).status).toBe("done");
  });

  test("a job that was given up before it began, and then answers, does not cost its process", async () => {
    const path = join(folder, "expired-answering");
    const pool = openPool({ silenceMs: 20_000 });
    const before = await pidOf(pool);
    const slow = pool.run("note slow", { path, milliseconds: 1000 }, generous);
    const late = pool.run("note late", { path, milliseconds: 3000 }, { deadlineMs: 100 });
    // At its deadline the process is judged, in the middle of the one before.
    const last = pool.run("note last", { path, milliseconds: 0 }, { deadlineMs: 2500 });
    expect((await slow).status).toBe("done");
    for (const outcome of [late, last]) expect(await outcome).toMatchObject({ status: "timeout", begun: false });
    expect(await pidOf(pool)).toBe(before);
  });

  test("a job whose killed process is not yet gone is stuck and not started again", async () => {
    const pool = openPool();
    const path = makeFifo("stuck");
    await hang(pool, "read stuck", path);
    // The process is being killed, but nobody has had the chance to reap it.
    const again = await pool.run("read stuck", { path }, { deadlineMs: 300 });
    expect(again).toMatchObject({ status: "stuck", step: "open", pid: expect.any(Number) });
    expect(pool.stuckJobs()).toMatchObject([{ job: "read stuck", step: "open" }]);
    expect((await pool.run("echo", 1, generous)).status).toBe("done");
    await until(() => pool.stuckJobs().length === 0, "reaped");
    await hang(pool, "read stuck", path);
  });

  test("a job that hung is tried after those that did not", async () => {
    // Nothing is overtaken here: were the one that hangs first, the other would wait past its deadline.
    const pool = openPool({ silenceMs: 20_000 });
    const path = makeFifo("last");
    await hang(pool, "read hung", path);
    await until(() => pool.stuckJobs().length === 0, "reaped");
    const hung = pool.run("read hung", { path }, { deadlineMs: 6000 });
    expect((await pool.run("echo", 1, { deadlineMs: 5500 })).status).toBe("done");
    expect((await hung).status).toBe("timeout");
  });

  describe("that holds results", () => {
    test("runs again elsewhere what a stuck process had done and not told of", async () => {
      const path = join(folder, "held");
      const pool = openPool({ silenceMs: 1000 }, "hold");
      const fifo = makeFifo("holding");
      const notes = ["note a", "note b"].map((name) => pool.run(name, { path, milliseconds: 0 }, generous));
      const blocked = pool.run("read", { path: fifo }, generous);
      expect((await Promise.all(notes)).map(({ status }) => status)).toEqual(["done", "done"]);
      expect(readFileSync(path, "utf8")).toBe("note a\nnote b\nnote a\nnote b\n");
      // What it had done comes along with what it was stuck in, and is of no interest any more.
      writeFifo(fifo, "late but in time");
      const outcome = await blocked;
      expect(outcome.status === "done" && Buffer.from(outcome.payload).toString()).toBe("late but in time");
      expect((await pool.run("echo", 1, generous)).status).toBe("done");
      expect(pool.processes()).toEqual({ running: 2, abandoned: 0 });
    });

    test("fails only the job that its process dies of", async () => {
      const pool = openPool({}, "hold");
      const before = pool.run("echo", 1, generous);
      const dead = pool.run("die", {}, generous);
      expect((await before).status).toBe("done");
      expect(await dead).toEqual({ status: "failed", error: "its process ended with signal SIGKILL" });
    });

    // Nothing is overtaken in these two: were results held back, they would come past the deadline.
    test("tells of the others before it tries a job that hung", async () => {
      const pool = openPool({ silenceMs: 20_000 }, "hold");
      const path = makeFifo("hung-before");
      await hang(pool, "read hung", path);
      await until(() => pool.stuckJobs().length === 0, "reaped");
      const hung = pool.run("read hung", { path }, { deadlineMs: 6000 });
      expect((await pool.run("echo", 1, { deadlineMs: 5500 })).status).toBe("done");
      expect((await hung).status).toBe("timeout");
    });

    test("tells of the others before it tries a job that was slow", async () => {
      const pool = openPool({ silenceMs: 20_000 }, "hold");
      const path = join(folder, "slow-before");
      await pool.run("note slow", { path, milliseconds: 200 }, generous);
      const slow = pool.run("note slow", { path, milliseconds: 1500 }, generous);
      const settled: string[] = [];
      const noting = (name: string, outcome: Promise<JobOutcome>): Promise<unknown> =>
        outcome.then(() => settled.push(name));
      await Promise.all([noting("slow", slow), noting("echo", pool.run("echo", 1, generous))]);
      expect(settled).toEqual(["echo", "slow"]);
      expect(readFileSync(path, "utf8")).toBe("note slow\nnote slow\n");
    });
  });

  test("with too many processes left behind no more are started", async () => {
    const pool = openPool({ maxAbandoned: 1 });
    await hang(pool, "read stuck", makeFifo("capped"));
    expect(await pool.run("echo", 1, generous)).toEqual({
      status: "failed",
      error: "1 stuck probe processes cannot be ended, no more are started",
    });
    await until(() => pool.processes().abandoned === 0, "reaped");
    expect((await pool.run("echo", 1, generous)).status).toBe("done");
  });

  test("a process killed by someone else fails its job only", async () => {
    const pool = openPool();
    const [dead, alive] = await Promise.all([pool.run("die", {}, generous), pool.run("echo", 1, generous)]);
    expect(dead).toEqual({ status: "failed", error: "its process ended with signal SIGKILL" });
    expect(alive.status).toBe("done");
  });

  test.each([
    ["at once", 0],
    ["when it has been passed over", 1000],
  ])("a process that floods the pipe %s is ended and its job fails", async (_when, milliseconds) => {
    const pool = openPool();
    const startedAt = performance.now();
    const outcome = await pool.run("flood", { milliseconds }, generous);
    expect(outcome).toEqual({
      status: "failed",
      error: "unreadable answer of the probe process: a header line is too long",
    });
    // Not at its deadline.
    expect(performance.now() - startedAt).toBeLessThan(generous.deadlineMs / 2);
    expect((await pool.run("echo", 1, generous)).status).toBe("done");
  });

  test("a program that dies when started says why, and is not started again at once", async () => {
    const pool = openPool({}, "die");
    expect(await pool.run("echo", 1, generous)).toEqual({
      status: "failed",
      error: "the probe process ended with exit code 3 when started: cannot live like this",
    });
    expect(await pool.run("echo", 1, generous)).toEqual({
      status: "failed",
      error: "probe processes end as soon as they are started; the next try is due shortly",
    });
    await until(() => lines.length > 0, "logged");
  });

  test("a program that is not there fails the job", async () => {
    const pool = openPool({ command: ["/nonexistent/aami"] });
    expect(await pool.run("echo", 1, generous)).toMatchObject({ status: "failed" });
  });

  test("the process ends when the daemon is gone", async () => {
    const fixture = join(import.meta.dir, "probe-fixture.ts");
    const { fd } = createBegunJob();
    const child = Bun.spawn([process.execPath, fixture], { stdio: ["pipe", "pipe", "pipe", "pipe", fd] });
    closeSync(fd);
    child.stdin.write('[{"setup":{}}]\n');
    await child.stdout.getReader().read();
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  });

  test("finish lets an idle process put its things away; the next job has a new one", async () => {
    const path = join(folder, "tidy");
    const pool = openPool({}, "tidy", path);
    const before = await pidOf(pool);
    await pool.finish(20_000);
    expect(readFileSync(path, "utf8")).toBe("tidied up\n");
    expect(await pidOf(pool)).not.toBe(before);
  });

  test("finish lets a busy process end its job and put its things away", async () => {
    const path = join(folder, "tidy-busy");
    const pool = openPool({}, "tidy", path);
    const job = pool.run("note", { path, milliseconds: 100 }, generous);
    await until(() => existsSync(path), "the job has begun");
    await pool.finish(20_000);
    expect(readFileSync(path, "utf8")).toBe("note\ntidied up\n");
    expect(await job).toMatchObject({ status: "done" });
    expect(pool.processes()).toEqual({ running: 0, abandoned: 0 });
    expect(lines).toEqual([]);
  });

  test("finish kills what does not end in time; what waited behind it is not run", async () => {
    const pool = openPool();
    const path = join(folder, "behind");
    let begun = false;
    const hanging = pool.run("read", { path: makeFifo("busy") }, { ...generous, onStep: () => (begun = true) });
    const behind = pool.run("note", { path, milliseconds: 0 }, generous);
    await until(() => begun, "the job has begun");
    const asked = pool.finish(50);
    const meanwhile = pool.run("echo", {}, generous);
    await asked;
    const error = "the probe processes have been stopped";
    expect(await hanging).toEqual({ status: "failed", error });
    expect(await behind).toEqual({ status: "failed", error });
    expect(existsSync(path)).toBe(false);
    expect(await meanwhile).toMatchObject({ status: "done" });
    expect(pool.processes().abandoned).toBe(0);
  });

  test("close ends what runs without waiting for it", async () => {
    const pool = openPool();
    const path = makeFifo("closing");
    const outcome = pool.run("read x", { path }, generous);
    await until(() => pool.processes().running === 1, "started");
    pool.close();
    expect(await outcome).toEqual({ status: "failed", error: "the probe processes have been stopped" });
    expect((await pool.run("echo", 1, generous)).status).toBe("failed");
  });
});
