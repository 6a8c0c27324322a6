import { describe, expect, test } from "bun:test";
import { Type as t } from "@sinclair/typebox";
import { createAcknowledgements, type TextStorage } from "../../checks/acknowledgements.ts";
import { defineBuiltin, happened } from "../../checks/builtin/builtin.ts";
import { createBuiltinRunner } from "../../checks/builtin/run.ts";
import { systemClock } from "../../checks/clock.ts";
import type { Verdict } from "../../checks/verdict.ts";
import { defineBuiltinCheck, noon, toSamples } from "./builtin/grading.ts";

function createStorage(): TextStorage {
  const texts = new Map<string, string>();
  return { saved: (name) => texts.get(name), save: (name, text) => void texts.set(name, text) };
}
const dealtWith = (subject: string, untilMs = noon * 1000, check = "bells") => {
  return { check, subject, untilMs, atMs: untilMs + 5000, by: "ada", note: "oiled" };
};

describe("acknowledgements", () => {
  test("count for one subject of one check, up to a time, and outlive the daemon", () => {
    const storage = createStorage();
    createAcknowledgements(storage).add([dealtWith("tower"), dealtWith("gate", 5000)]);
    const again = createAcknowledgements(storage);
    expect(again.untilMs("bells", "tower")).toBeGreaterThanOrEqual(noon * 1000);
    expect(again.untilMs("bells", "gate")).toBeLessThan(60_000);
    expect(again.untilMs("bells", "")).toBe(0);
    expect(again.untilMs("clocks", "tower")).toBe(0);
    expect(again.list().map(({ subject, by, note }) => [subject, by, note])).toEqual([
      ["tower", "ada", "oiled"],
      ["gate", "ada", "oiled"],
    ]);
  });

  test("a newer one takes the place of the one before; some hundred are kept", () => {
    const acknowledgements = createAcknowledgements(createStorage());
    acknowledgements.add([dealtWith("tower", 1000)]);
    acknowledgements.add([dealtWith("tower", 9000)]);
    expect(acknowledgements.list().map(({ untilMs }) => untilMs)).toEqual([9000]);
    for (let number = 0; number < 700; number++) acknowledgements.add([dealtWith(`bell ${number}`)]);
    expect(acknowledgements.list().length).toBe(500);
    expect(acknowledgements.list()[0]?.subject).toBe("bell 699");
  });

  test("can be taken back", () => {
    const storage = createStorage();
    const acknowledgements = createAcknowledgements(storage);
    acknowledgements.add([dealtWith("tower"), dealtWith("gate"), dealtWith("tower", 1, "clocks")]);
    expect(acknowledgements.remove("bells", "attic")).toBe(0);
    expect(acknowledgements.remove("bells", "gate")).toBe(1);
    expect(acknowledgements.remove("bells", undefined)).toBe(1);
    expect(
      createAcknowledgements(storage)
        .list()
        .map(({ check }) => check),
    ).toEqual(["clocks"]);
  });

  test.each(["", "{", "7", '[{"check":"bells"}]'])("what was stored as %p is forgotten", (text) => {
    const storage = createStorage();
    storage.save("acknowledgements", text);
    expect(createAcknowledgements(storage).list()).toEqual([]);
  });
});

describe("a check", () => {
  const bells = defineBuiltin({
    name: "bells",
    description: "For tests.",
    explanation: [],
    source: "demo",
    intervalSeconds: 60,
    parameters: t.Object({}),
    grade: ({ samples }) => ({
      findings: samples("demo_rung").map(({ labels, value }) => ({
        status: "critical" as const,
        subject: labels["bell"] ?? "",
        summary: "has rung",
        action: "reboot" as const,
        ...(value > 0 && happened(value)),
      })),
      summary: "no bell",
    }),
  });
  const acknowledgements = createAcknowledgements(createStorage());
  acknowledgements.add([dealtWith("tower"), dealtWith("")]);
  const judge = async (...rung: readonly (readonly [bell: string, at: number])[]): Promise<Verdict | undefined> => {
    const families = { demo_rung: rung.map(([bell, at]) => [{ bell }, at] as const) };
    const runner = createBuiltinRunner({
      readings: { read: async () => ({ state: "ok", samples: toSamples(families) }) },
      bootId: "b",
      restored: [],
      clock: { ...systemClock, now: () => new Date(noon * 1000) },
      checks: [bells],
      acknowledgements,
    });
    return (await runner.run(defineBuiltinCheck("bells"), new AbortController().signal)).verdict;
  };

  test("does not find what has been dealt with, and says that", async () => {
    expect(await judge(["tower", noon], ["tower", noon - 500])).toMatchObject({
      status: "ok",
      summary: "no bell; 2 acknowledged",
      action: "none",
      findings: [],
    });
  });

  test("finds what has happened since, and what happened elsewhere", async () => {
    expect((await judge(["tower", noon + 10]))?.findings).toHaveLength(1);
    expect((await judge(["gate", noon - 10], ["tower", noon]))?.findings.map(({ subject }) => subject)).toEqual([
      "gate",
    ]);
  });

  test("finds what is so now, whatever has been said about it", async () => {
    expect((await judge(["tower", 0]))?.status).toBe("critical");
  });
});
