import { expect, test } from "bun:test";
import { createScrapeEngine } from "../../../daemon/scrape/engine.ts";
import type { CollectorState } from "../../../daemon/scrape/reading.ts";
import { createReadings } from "../../../daemon/scrape/readings.ts";
import { createSlot } from "../../../daemon/scrape/slot.ts";
import type { CollectorSource, SourceReading } from "../../../daemon/scrape/source.ts";
import { ask } from "./ask.ts";
import { familyBytes } from "./family-bytes.ts";
import { silentLogger } from "../../../runtime/log.ts";

const things = 'demo_things{name="a \\"b\\""} 2.5\ndemo_things{name="c"} NaN\n';

function reading(state: CollectorState, error?: string): SourceReading {
  const families =
    state === "ok" ? familyBytes(["demo_before", "demo_before 1\n"], ["demo_things", things]) : familyBytes();
  return { state, durationSeconds: 0.001, error, series: 2, skipped: 0, skippedNew: [], families };
}

const source = (name: string, result: SourceReading): CollectorSource => ({ name, read: (_, take) => take(result) });
const never: CollectorSource = { name: "hung", read: () => {} };

function readingsOf(...sources: readonly CollectorSource[]) {
  const engine = createScrapeEngine({ sources, timeoutMs: 5000, pageSources: [] });
  return createReadings(
    () => engine,
    () => 50,
  );
}

test("a check reads the series of a family, and none of a family that is not there", async () => {
  const demo = await readingsOf(source("demo", reading("ok"))).read("demo");
  if (demo.state !== "ok") throw new Error(demo.reason);
  expect(demo.samples("demo_things")).toEqual([
    { labels: { name: 'a "b"' }, value: 2.5 },
    { labels: { name: "c" }, value: Number.NaN },
  ]);
  expect(demo.samples("demo_other")).toEqual([]);
});

test.each([
  ["absent", "no such device", { state: "absent", reason: "no such device" }],
  ["failed", "EIO", { state: "failed", reason: "EIO" }],
  ["timeout", "no answer in time (collect)", { state: "failed", reason: "no answer in time (collect)" }],
] as const)("a collector that is %s gives no series", async (state, error, expected) => {
  expect(await readingsOf(source("demo", reading(state, error))).read("demo")).toEqual(expected);
});

test.each([
  [60, "ok"],
  [121, "failed"],
] as const)("of a slow collector a reading that is %d s old is %s", async (ageSeconds, state) => {
  const old = { ...reading("ok"), ageSeconds };
  expect((await readingsOf(source("demo", old)).read("demo")).state).toBe(state);
});

test("a collector that is switched off is absent, one that hangs has failed at the deadline", async () => {
  const readings = readingsOf(never);
  expect(await readings.read("demo")).toEqual({ state: "absent", reason: "the demo collector is switched off" });
  expect((await readings.read("hung")).state).toBe("failed");
});

test("before the collectors have started nothing is known", async () => {
  const readings = createReadings(
    () => undefined,
    () => 50,
  );
  expect((await readings.read("demo")).state).toBe("failed");
});

test("a reading is shared for a few seconds and never shown when it is older", async () => {
  let asked = 0;
  let nowMs = 0;
  const counted: CollectorSource = { name: "demo", read: (_, take) => (asked++, take(reading("ok"))) };
  const slot = createSlot({ source: counted, timeoutMs: 1000, log: silentLogger, now: () => nowMs });
  await ask(slot.read).reading;
  nowMs = 5000;
  await ask((take) => slot.recent(5000, take)).reading;
  expect(asked).toBe(1);
  nowMs = 5001;
  await ask((take) => slot.recent(5000, take)).reading;
  expect(asked).toBe(2);
});

test("what only checks read is on no page", async () => {
  const engine = createScrapeEngine({
    sources: [source("demo", reading("ok")), source("hidden", reading("ok"))],
    timeoutMs: 5000,
    pageSources: [],
    offPage: new Set(["hidden"]),
  });
  expect(engine.collectorNames).toEqual(["demo"]);
  const text = Buffer.from(await engine.scrape(undefined, 1000)).toString();
  expect(text).toContain('collector="demo"');
  expect(text).not.toContain('collector="hidden"');
  expect((await engine.reading("hidden", { maxAgeMs: 0, deadlineMs: 1000 }))?.state).toBe("ok");
});
