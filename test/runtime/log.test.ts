import { expect, test } from "bun:test";
import { describeError } from "../../runtime/log.ts";
import { runProcess } from "../harness/process.ts";

const cause = new Error("ENOENT: no such file");

test.each([
  ["the cause follows", new Error("cannot read /x", { cause }), "cannot read /x: ENOENT: no such file"],
  [
    "a cause that is quoted is not repeated",
    new Error("cannot read /x: ENOENT: no such file", { cause }),
    "cannot read /x: ENOENT: no such file",
  ],
  ["a cause that says more replaces", new Error("ENOENT", { cause }), "ENOENT: no such file"],
  ["three levels", new Error("a", { cause: new Error("b", { cause: new Error("c") }) }), "a: b: c"],
  ["no error", "text", "text"],
])("%s", (_what, value, text) => expect(describeError(value)).toBe(text));

test.each([
  ["is on a full disk", "2>/dev/full"],
  ["is closed", "2>&-"],
  ["may only be read", "2</dev/null"],
])("a log that %s costs its lines and nothing else", async (_, redirection) => {
  const log = new URL("../../runtime/log.ts", import.meta.url).pathname;
  const program = `import { createLogger } from "${log}"; createLogger().info("x"); console.log("goes on");`;
  const command = `exec "$0" -e "$1" ${redirection}`;
  expect(await runProcess(["sh", "-c", command, process.execPath, program])).toMatchObject({
    exitCode: 0,
    stdout: "goes on\n",
  });
});
