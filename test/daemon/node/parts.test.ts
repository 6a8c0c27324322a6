import { describe, expect, test } from "bun:test";
import type { CheckDefinition, CheckResult } from "../../../checks/check.ts";
import type { CheckState } from "../../../checks/metrics.ts";
import { createBackoff, parseRetryAfter } from "../../../daemon/node/backoff.ts";
import { ServerConfig, transportWarning } from "../../../daemon/node/config.ts";
import { createMemory, toReport } from "../../../daemon/node/status.ts";
import { createResultStore } from "../../../daemon/node/results.ts";
import type { StoredResult } from "../../../daemon/node/state.ts";
import { parseConfig } from "../../../runtime/config.ts";
import { silentLogger } from "../../../runtime/log.ts";

describe("backoff", () => {
  test.each([
    ["no luck", 0, [1000, 1000, 1000, 1000]],
    ["all luck", 1, [2000, 4000, 8000, 10_000]],
  ])("grows to its limit (%s)", (_name, random, expected) => {
    const backoff = createBackoff({ firstMs: 2000, limitMs: 10_000, random: () => random });
    expect(expected.map(() => backoff.next())).toEqual(expected);
    backoff.reset();
    expect(backoff.next()).toBe(expected[0] ?? 0);
  });

  test.each([
    ["seconds", "30", 30_000],
    ["a date", "Sat, 21 Nov 2026 00:01:00 GMT", 60_000],
    ["a date in the past", "Fri, 20 Nov 2026 00:00:00 GMT", 0],
    ["nonsense", "soon", undefined],
    ["nothing", null, undefined],
  ])("Retry-After: %s", (_name, value, expected) => {
    expect(parseRetryAfter(value, Date.UTC(2026, 10, 21))).toBe(expected);
  });
});

describe("results", () => {
  const result = (check: string, value: number): CheckResult => ({
    check,
    definition: "d",
    startedAt: "2026-11-21T00:00:00.000Z",
    durationSeconds: 1.5,
    outcome: "ok",
    families: [{ name: "m", help: "", type: "gauge", samples: [{ labels: { check }, value }] }],
  });

  function memory(fail: () => boolean = () => false) {
    const stored = new Map<string, StoredResult>();
    const flushes: (() => void)[] = [];
    const state = {
      results: () => [...stored.values()],
      saveResults: (changed: readonly StoredResult[], removed: readonly string[]) => {
        if (fail()) throw new Error("database or disk is full");
        for (const entry of changed) stored.set(entry.checkKey, entry);
        for (const key of removed) stored.delete(key);
      },
    };
    return {
      stored,
      flushes,
      create: () => createResultStore({ state, log: silentLogger, later: (work) => flushes.push(work) }),
    };
  }

  test.each([
    ["1.5", 1.5],
    ["0", 0],
    ["-0", -0],
    ["NaN", Number.NaN],
    ["+Inf", Infinity],
    ["-Inf", -Infinity],
    ["tiny", 5e-324],
  ])("the value %s survives a restart", (_name, value) => {
    const { create } = memory();
    const before = create();
    before.put(result("disk", value));
    before.flush();
    expect(create().restored).toEqual([result("disk", value)]);
    expect(Object.is(create().restored[0]?.families[0]?.samples[0]?.value, value)).toBe(true);
  });

  test("many results are written together, those of removed checks go", () => {
    const { create, flushes, stored } = memory();
    const store = create();
    for (const name of ["a", "b", "c"]) store.put(result(name, 1));
    expect([flushes.length, stored.size]).toEqual([1, 0]);
    flushes[0]?.();
    store.retain(new Set(["a"]));
    flushes[1]?.();
    expect([...stored.keys()]).toEqual(["a"]);
  });

  test("results that could not be written are written later", () => {
    let isFull = true;
    const { create, stored } = memory(() => isFull);
    const store = create();
    store.put(result("a", 1));
    store.flush();
    isFull = false;
    store.put(result("b", 1));
    store.flush();
    expect([...stored.keys()]).toEqual(["a", "b"]);
  });

  test("a row that is no JSON is left out", () => {
    const { create, stored } = memory();
    stored.set("bad", { checkKey: "bad", finishedAt: 1, result: "{" });
    expect(create().restored).toEqual([]);
  });
});

describe("what the server is told of a check", () => {
  const definition: CheckDefinition = {
    name: "gpu_count",
    language: "builtin",
    script: new Uint8Array(),
    scriptSha256: "",
    config: {},
    schedule: { intervalSeconds: 60 },
    timeoutSeconds: 30,
    permissions: {},
    source: "builtin",
  };
  const told = (result: Partial<CheckResult> | undefined, stale = false) => {
    const state: CheckState = {
      definition,
      result: result && {
        check: "gpu_count",
        definition: "d",
        startedAt: "2026-11-21T00:00:00.000Z",
        durationSeconds: 1,
        outcome: "ok",
        families: [],
        ...result,
      },
      ageSeconds: 1,
      stale,
      running: false,
      nextRunSeconds: 1,
      periodSeconds: 60,
      runs: new Map(),
      skippedRuns: 0,
    };
    const facts = { nowMs: 1, daemonVersion: "1", bootId: undefined, clockSkewMs: undefined, sandbox: undefined };
    return toReport(createMemory(), { ...facts, checks: [state] }).checks?.[0]?.result;
  };

  test.each([
    ["all is well", { outcome: "ok" }, "ok"],
    ["there is nothing on this node to judge", { outcome: "absent" }, "absent"],
    ["a warning", { outcome: "exit", exitCode: 1, error: "exit" }, "warning"],
    ["a critical finding", { outcome: "exit", exitCode: 2, error: "exit" }, "critical"],
    ["the check could not tell", { outcome: "exit", exitCode: 3, error: "exit" }, "unknown"],
    ["it ran past its deadline", { outcome: "timeout", error: "timeout" }, "timeout"],
    ["its output was bad", { outcome: "ok", error: "syntax" }, "syntax"],
  ] as const)("%s", (_name, result, expected) => expect(told(result)).toBe(expected));

  test("a result that is too old, or that never came, is unknown", () => {
    expect([told(undefined), told({ outcome: "ok" }, true)]).toEqual(["unknown", "unknown"]);
  });
});

describe("configuration", () => {
  test("defaults", () => {
    expect(parseConfig(ServerConfig, "url: https://aami.example.com", "t")).toEqual({
      url: "https://aami.example.com",
      token_file: "/etc/aami/bootstrap-token",
      secondary_groups: [],
      labels: {},
      poll_wait_seconds: 50,
    });
  });

  test.each([
    ["url: aami.example.com", "t:1:1: url"],
    ["url: https://a\nlabels: { rack: 5 }", "t:2"],
    ["url: https://a\nprimary_group: test", "t:2"],
    ["url: https://a\npoll_wait_seconds: 90", "t:2"],
    ["url: https://a\ntoken: secret", "t:2:1"],
    ["token_file: /x", "url"],
  ])("%j is refused", (yaml, where) => {
    expect(() => parseConfig(ServerConfig, yaml, "t")).toThrow(where);
  });

  test.each([
    ["https://a:8080", false],
    ["http://127.0.0.1:8080", false],
    ["http://[::1]:8080", false],
    ["http://localhost:8080", false],
    ["http://10.0.0.1:8080", true],
    ["http://localhost.example.com", true],
  ])("%s warns: %p", (url, warns) => expect(transportWarning({ url }) !== undefined).toBe(warns));
});
