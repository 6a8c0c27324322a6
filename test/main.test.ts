import { describe, expect, test } from "bun:test";
import { selfCommand } from "../runtime/self.ts";

function aami(...args: readonly string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(selfCommand(...args), { stdin: "ignore" });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

describe("aami", () => {
  test.each([
    [["--help"], 0, "USAGE aami", ""],
    [["help"], 0, "USAGE aami", ""],
    [["--version"], 0, "aami, version ", ""],
    [["version"], 0, "aami, version ", ""],
    [[], 2, "USAGE aami", "aami: no command given\n"],
    [["nonsense"], 2, "", 'aami: unknown command "nonsense", try: aami --help\n'],
    [["--nonsense"], 2, "", 'aami: unknown option "--nonsense", try: aami --help\n'],
    [["constructor"], 2, "", 'aami: unknown command "constructor", try: aami --help\n'],
    [["probe"], 2, "USAGE aami probe", "aami: aami probe: no command given\n"],
    [["probe", "--help"], 0, "USAGE aami probe", ""],
    [["probe", "nonsense"], 2, "", 'aami: unknown command "nonsense", try: aami probe --help\n'],
    [["probe", "collect", "--nonsense"], 2, "", 'aami: unknown option "--nonsense", try: aami probe collect --help\n'],
  ] as const)("%p", (args, code, out, err) => {
    const result = aami(...args);
    expect(result).toEqual({ code, out: result.out, err });
    expect(result.out).toContain(out);
    expect(result.out).not.toContain("\u001b");
  });
});

test("a slow reader of a pipe gets everything that was printed", () => {
  const argv = selfCommand("daemon", "--print-config-schema").map((part) => `'${part}'`);
  const { stdout } = Bun.spawnSync(["sh", "-c", `${argv.join(" ")} | (sleep 0.5; cat)`], { stdin: "ignore" });
  expect(stdout.length).toBeGreaterThan(64 * 1024);
  expect(() => JSON.parse(stdout.toString())).not.toThrow();
});
