import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEventLog, type EventLog, type EventStorage, type HardwareEvent } from "../../collectors/events.ts";
import { type NodeState, openState } from "../../daemon/node/state.ts";
import { createLogger, silentLogger } from "../../runtime/log.ts";

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

function openDatabase(): NodeState {
  const directory = mkdtempSync(join(tmpdir(), "aami-events-"));
  const state = openState({ directory, log: silentLogger, programVersion: "1.2.3" });
  closing.push(() => {
    state.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return state;
}

const event = (key: string, atMs: number, extra: Partial<HardwareEvent> = {}): HardwareEvent => ({
  key,
  atMs,
  source: "kmsg",
  kind: "gpu_xid",
  severity: "fatal",
  device: "0000:3b:00",
  code: 79,
  message: "GPU has fallen off the bus.",
  ...extra,
});

/** Written when `flush` is called, by nothing else. */
function openLog(storage?: EventStorage): { log: EventLog; flush(): void } {
  const waiting: (() => void)[] = [];
  const log = createEventLog({ storage, log: silentLogger, later: (work) => waiting.push(work) });
  return { log, flush: () => waiting.splice(0).forEach((work) => work()) };
}

const keys = (log: EventLog, atMs = 0): string[] => log.since(atMs).map(({ key }) => key);

describe("an event log", () => {
  test("counts a key once and answers oldest first", () => {
    const { log } = openLog();
    for (const [key, atMs] of [
      ["b", 20],
      ["a", 10],
      ["b", 30],
    ] as const) {
      log.record(event(key, atMs));
    }
    expect(keys(log)).toEqual(["a", "b"]);
    expect(keys(log, 11)).toEqual(["b"]);
    expect(log.since(0)[1]?.atMs).toBe(20);
  });

  test("outlives the daemon with its state directory, and so do the texts of collectors", () => {
    const storage = openDatabase();
    const first = openLog(storage);
    first.log.record(event("a", 10));
    first.log.save("kmsg", "cursor 7");
    first.flush();
    first.log.record(event("never written", 11));
    const second = openLog(storage);
    expect(second.log.since(0)).toEqual([event("a", 10)]);
    expect(second.log.saved("kmsg")).toBe("cursor 7");
    second.log.record(event("a", 99));
    second.log.record(event("b", 20));
    second.log.close();
    expect(keys(openLog(storage).log)).toEqual(["a", "b"]);
  });

  test("forgets the oldest, in memory and on disk", () => {
    const storage = openDatabase();
    const { log, flush } = openLog(storage);
    for (let at = 0; at < 1500; at++) log.record(event(`k${at}`, at));
    flush();
    for (const found of [keys(log), keys(openLog(storage).log)]) {
      expect([found.length, found[0], found.at(-1)]).toEqual([1000, "k500", "k1499"]);
    }
  });

  test("of another machine is dropped", () => {
    const storage = openDatabase();
    const { log, flush } = openLog(storage);
    log.record(event("a", 10));
    log.save("kmsg", "cursor 7");
    flush();
    storage.forgetEvents();
    expect(openLog(storage).log.since(0)).toEqual([]);
    expect(openLog(storage).log.saved("kmsg")).toBeUndefined();
  });

  test("goes on in memory while the disk takes nothing, says so once, and catches up", () => {
    const database = openDatabase();
    const lines: string[] = [];
    let isFull = true;
    const storage: EventStorage = {
      ...database,
      saveEvents: (...what) => {
        if (isFull) throw new Error("database or disk is full");
        database.saveEvents(...what);
      },
    };
    const waiting: (() => void)[] = [];
    const log = createEventLog({
      storage,
      log: createLogger({ write: (line) => lines.push(line) }),
      later: (work) => waiting.push(work),
    });
    for (const key of ["a", "b", "c"]) {
      isFull = key !== "c";
      log.record(event(key, 10));
      waiting.splice(0).forEach((work) => work());
    }
    expect(lines.filter((line) => line.includes("cannot store hardware events")).length).toBe(1);
    expect(keys(openLog(database).log)).toEqual(["a", "b", "c"]);
  });
});
