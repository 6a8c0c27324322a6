import { expect, test } from "bun:test";
import { takeInventory } from "../../../daemon/node/inventory.ts";
import { createLogger } from "../../../runtime/log.ts";
import { selfCommand } from "../../../runtime/self.ts";
import { waitFor } from "../../harness/wait.ts";

function take(command: readonly string[], deadlineMs: number, lines: string[] = []) {
  const log = createLogger({ write: (line) => lines.push(line) });
  return takeInventory({ command, deadlineMs, log, signal: new AbortController().signal });
}

test("the real probe finds this machine", async () => {
  const { inventory } = await take(selfCommand("probe", "inventory"), 60_000);
  expect(inventory.memory_bytes).toBeGreaterThan(1e8);
  expect(inventory.cpu).toMatchObject({ threads: expect.any(Number) });
  expect(inventory.os).toMatchObject({ platform: "linux", kernel: expect.any(String) });
});

const answered = `echo '{"part":"memory_bytes","value":5}'`;
const cases: [string, string, string, number][] = [
  ["hangs after its first answer", `${answered}; sleep 60`, "gpus", 3000],
  ["is killed in the middle of a line", `${answered}; printf '{"part":"os","va'; kill -9 $$`, "os", 60_000],
  [
    "answers something else",
    `${answered}; echo '{"part":"gpus","value":"none"}'; echo '{"part":"os","error":"x"}'`,
    "gpus",
    60_000,
  ],
];

test.each(cases)("a probe that %s: the registration gets what was answered", async (_name, script, missing, limit) => {
  const lines: string[] = [];
  const { inventory } = await take(["sh", "-c", script], limit, lines);
  expect(inventory).toEqual({ memory_bytes: 5 });
  expect(JSON.parse(lines.join(""))).toMatchObject({ msg: "inventory is not complete" });
  expect(lines.join("")).toContain(missing);
});

test("what a hung probe started is gone as well", async () => {
  const marker = `${60 + Math.random()}`;
  await take(["sh", "-c", `${answered}; sleep ${marker} & wait`], 300);
  const isThere = async () =>
    (await new Response(Bun.spawn(["ps", "-eo", "args"]).stdout).text()).includes(`sleep ${marker}`);
  await waitFor("the end of the sleep", async () => !(await isThere()));
});

test("a program that is not there costs only the inventory", async () => {
  const lines: string[] = [];
  expect(await take(["/nonexistent/aami"], 500, lines)).toEqual({ inventory: {}, cloud: {} });
  expect(lines.join("")).toContain("inventory probe could not be run");
});
