import { describe, expect, test } from "bun:test";
import { ask } from "./ask.ts";
import { familyBytes } from "./family-bytes.ts";
import { createScrapeEngine, type ScrapeEngine } from "../../../daemon/scrape/engine.ts";
import { createSlot } from "../../../daemon/scrape/slot.ts";
import type { CollectorSource, SourceReading } from "../../../daemon/scrape/source.ts";
import { createLogger, silentLogger } from "../../../runtime/log.ts";

function reading(state: SourceReading["state"], families: readonly string[] = [], error?: string): SourceReading {
  return {
    state,
    durationSeconds: 0.001,
    error,
    series: families.length,
    skipped: 1,
    skippedNew: [],
    families: familyBytes(...families.map((name) => [name, `${name} 1\n`] as const)),
  };
}

/** A source that the test answers by hand. */
function manualSource(
  name: string,
): CollectorSource & { answer(result: SourceReading): void; readonly asked: () => number } {
  const waiting: ((result: SourceReading) => void)[] = [];
  let asked = 0;
  return {
    name,
    asked: () => asked,
    read: (_deadlineMs, take) => {
      asked++;
      waiting.push(take);
    },
    answer: (result) => {
      for (const take of waiting.splice(0)) take(result);
    },
  };
}

const ready = (name: string, result: SourceReading): CollectorSource => ({ name, read: (_, take) => take(result) });

function engineOf(...sources: readonly CollectorSource[]): ScrapeEngine {
  return createScrapeEngine({ sources, timeoutMs: 5000, pageSources: [] });
}

async function text(page: Promise<Uint8Array>): Promise<string> {
  return Buffer.from(await page).toString();
}

describe("the scrape engine", () => {
  test.each([
    ["ok", 1],
    ["absent", 0],
    ["failed", 0],
    ["timeout", 0],
  ] as const)("state %s is success %d", async (state, success) => {
    const page = await text(engineOf(ready("x", reading(state))).scrape(undefined, 1000));
    expect(page).toContain(`node_scrape_collector_success{collector="x"} ${success}\n`);
    const states = ["absent", "failed", "ok", "timeout"].map(
      (candidate) => `aami_collector_state{collector="x",state="${candidate}"} ${candidate === state ? 1 : 0}\n`,
    );
    expect(page).toContain(states.join(""));
  });

  test("scrapes at the same time share one collection, the next one is fresh", async () => {
    const source = manualSource("x");
    const engine = engineOf(source);
    const pages = [engine.scrape(undefined, 5000), engine.scrape(undefined, 5000), engine.scrape(["x"], 5000)];
    expect(source.asked()).toBe(1);
    expect(engine.startsCollection(undefined, 5000)).toBe(false);
    source.answer(reading("ok", ["a"]));
    for (const page of pages) expect(await text(page)).toContain("a 1\n");
    const next = engine.scrape(undefined, 5000);
    expect(source.asked()).toBe(2);
    source.answer(reading("ok", ["b"]));
    expect(await text(next)).toContain("b 1\n");
  });

  test("scrapes that share a page have it in the form that each wants, and keep it", async () => {
    const source = manualSource("x");
    const engine = engineOf(source);
    const [plain, zipped] = [engine.scrape(undefined, 5000), engine.scrape(undefined, 5000, "gzip")];
    expect(source.asked()).toBe(1);
    source.answer(reading("ok", ["a"]));
    await Promise.all([plain, zipped]);
    const next = engine.scrape(undefined, 5000);
    source.answer(reading("ok", ["b"]));
    expect(await text(next)).not.toContain("a 1\n");
    expect(await text(plain)).toContain("a 1\n");
    expect(Buffer.from(Bun.gunzipSync(await zipped)).toString()).toBe(await text(plain));
  });

  test("what is not ready at the deadline is a timeout, the rest is there", async () => {
    const slow = manualSource("slow");
    const engine = engineOf(slow, ready("quick", reading("ok", ["a"])));
    const page = await text(engine.scrape(undefined, 50));
    expect(page).toContain("a 1\n");
    expect(page).toContain('node_scrape_collector_success{collector="quick"} 1\n');
    expect(page).toContain('aami_collector_state{collector="slow",state="timeout"} 1\n');
    expect(page).toContain('node_scrape_collector_success{collector="slow"} 0\n');
    // It still runs: the next scrape waits for the same run.
    const next = engine.scrape(undefined, 5000);
    expect(slow.asked()).toBe(1);
    slow.answer(reading("ok", ["late"]));
    expect(await text(next)).toContain("late 1\n");
  });

  test("a filtered scrape asks only those", async () => {
    const other = manualSource("other");
    const page = await text(engineOf(other, ready("x", reading("ok", ["a"]))).scrape(["x"], 1000));
    expect(other.asked()).toBe(0);
    expect(page).not.toContain('collector="other"');
  });

  test("left-out readings add up", async () => {
    const engine = engineOf(ready("x", reading("ok")));
    await engine.scrape(undefined, 1000);
    const page = await text(engine.scrape(undefined, 1000));
    expect(page).toContain('aami_collector_skipped_reads_total{collector="x"} 2\n');
  });
});

test("what is left out is told once, also when another process tells it again", async () => {
  const lines: string[] = [];
  const told = [["/sys/a: EIO"], ["/sys/a: EIO", "/sys/b: EIO"], ["/sys/b: EIO"]];
  const source: CollectorSource = {
    name: "x",
    read: (_, take) => take({ ...reading("ok"), skippedNew: told.shift() ?? [] }),
  };
  const slot = createSlot({ source, timeoutMs: 5000, log: createLogger({ write: (line) => void lines.push(line) }) });
  for (let scrape = 0; scrape < 4; scrape++) await ask(slot.read).reading;
  expect(lines.map((line) => JSON.parse(line).skipped)).toEqual([["/sys/a: EIO"], ["/sys/b: EIO"]]);
});

test("what is absent is looked for once a minute", async () => {
  let time = 0;
  const states: SourceReading["state"][] = [];
  const source: CollectorSource = {
    name: "x",
    read: (_, take) => {
      states.push(time < 100_000 ? "absent" : "ok");
      take(reading(states.at(-1) ?? "ok"));
    },
  };
  const slot = createSlot({ source, timeoutMs: 5000, log: silentLogger, now: () => time });
  const seen: string[] = [];
  for (; time < 150_000; time += 15_000) seen.push((await ask(slot.read).reading).state);
  expect(seen).toEqual([...Array.from({ length: 8 }, () => "absent"), "ok", "ok"]);
  expect(states).toEqual(["absent", "absent", "ok", "ok"]);
});

describe("a collector that is slow", () => {
  const slow = (name: string): SourceReading => ({ ...reading("ok", [name]), durationSeconds: 0.8 });

  test("is not waited for after the second time: a page has the reading before, and says its age", async () => {
    let time = 0;
    const lines: string[] = [];
    const log = createLogger({ write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
    const source = manualSource("x");
    const slot = createSlot({ source, timeoutMs: 5000, log, now: () => time });
    for (const family of ["a", "b"]) {
      const { reading: asked } = ask(slot.read);
      source.answer(slow(family));
      expect((await asked).families.names[0]).toBe(family);
    }
    time = 15_000;
    expect(await ask(slot.read).reading).toMatchObject({ ageSeconds: 15, families: { names: ["b"] } });
    expect(source.asked()).toBe(3);
    source.answer({ ...reading("ok", ["c"]), durationSeconds: 0.1 });

    const quick = ask(slot.read).reading;
    source.answer(reading("ok", ["d"]));
    expect((await quick).families.names[0]).toBe("d");
    expect((await quick).ageSeconds).toBeUndefined();
    expect(lines).toEqual([
      "collector is slow, pages have its reading of the scrape before",
      "collector is quick again",
    ]);
  });

  test("is waited for when the reading before is too old", async () => {
    let time = 0;
    const source = manualSource("x");
    const slot = createSlot({ source, timeoutMs: 5000, log: silentLogger, now: () => time });
    for (const family of ["a", "b"]) {
      const { reading: asked } = ask(slot.read);
      source.answer(slow(family));
      await asked;
    }
    time = 3_600_000;
    const { reading: asked } = ask(slot.read);
    source.answer(slow("c"));
    expect((await asked).families.names[0]).toBe("c");
  });

  test("has its age on the page, the others have none", async () => {
    const aged = { ...reading("ok", ["a"]), ageSeconds: 14.5 };
    const page = await text(engineOf(ready("x", aged), ready("y", reading("ok"))).scrape(undefined, 1000));
    expect(page.match(/^aami_collector_reading_age_seconds.*$/gm)).toEqual([
      'aami_collector_reading_age_seconds{collector="x"} 14.5',
    ]);
  });
});

describe("a collector that hangs", () => {
  test("is not waited for a second time, is tried in the background, and comes back when a try does", async () => {
    let time = 0;
    const source = manualSource("x");
    const slot = createSlot({ source, timeoutMs: 5000, log: silentLogger, now: () => time });
    const first = ask(slot.read);
    expect(first.isWorthWaiting).toBe(true);
    source.answer(reading("timeout", [], "no answer"));
    expect((await first.reading).state).toBe("timeout");

    const second = ask(slot.read);
    expect(second.isWorthWaiting).toBe(false);
    expect(await second.reading).toMatchObject({ state: "timeout", error: "no answer", families: { names: [] } });
    expect(source.asked()).toBe(1);

    time = 5_000;
    const third = ask(slot.read);
    expect(third.isWorthWaiting).toBe(false);
    expect(source.asked()).toBe(2);
    source.answer(reading("ok", ["a"]));
    await third.reading;
    expect(ask(slot.read).isWorthWaiting).toBe(true);
  });

  test("is waited for again when other collectors kept it from being asked", async () => {
    const source = manualSource("x");
    const slot = createSlot({ source, timeoutMs: 5000, log: silentLogger });
    ask(slot.read);
    source.answer({ ...reading("timeout"), notAsked: true });
    expect(ask(slot.read).isWorthWaiting).toBe(true);
    expect(source.asked()).toBe(2);
  });

  test("is tried less and less often", async () => {
    let time = 0;
    let asked = 0;
    const source: CollectorSource = {
      name: "x",
      read: (_, take) => {
        asked++;
        take(reading("timeout"));
      },
    };
    const slot = createSlot({ source, timeoutMs: 5000, log: silentLogger, now: () => time });
    for (; time < 600_000; time += 1000) await ask(slot.read).reading;
    expect(asked).toBeGreaterThan(8);
    expect(asked).toBeLessThan(16);
  });

  test.each([
    ["timeout", "collector does not answer"],
    ["failed", "collector failed"],
  ] as const)("%s is told once when it begins and once when it ends", async (state, message) => {
    const lines: string[] = [];
    const log = createLogger({ write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
    let time = 0;
    const answers = [reading("ok"), reading(state, [], "why"), reading(state, [], "why"), reading("ok"), reading("ok")];
    const source: CollectorSource = { name: "x", read: (_, take) => take(answers.shift() ?? reading("ok")) };
    const slot = createSlot({ source, timeoutMs: 5000, log, now: () => (time += 100_000) });
    for (let index = 0; index < 5; index++) await ask(slot.read).reading;
    expect(lines).toEqual([message, "collector works again"]);
  });
});
