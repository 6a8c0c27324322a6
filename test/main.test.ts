import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
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
    [["--nonsense"], 1, "", "aami: error: unknown long flag '--nonsense', try --help\n"],
    [["-x"], 1, "", "aami: error: unknown short flag '-x', try --help\n"],
    [
      ["@/nowhere"],
      1,
      "",
      "aami: error: failed to open arguments file \"/nowhere\": ENOENT: no such file or directory, open '/nowhere', try --help\n",
    ],
    [["--check-config"], 0, "daemon.yaml", ""],
    [
      ["--config=/nowhere.yaml"],
      78,
      "",
      "aami: /nowhere.yaml: cannot be read: ENOENT: no such file or directory, open '/nowhere.yaml'\n",
    ],
    [["--help", "status"], 0, "USAGE aami", ""],
    [["--help", "--no-collector.cpu"], 0, "--[no-]collector.cpu", ""],
    [["--version", "--no-collector.cpu"], 0, "aami, version ", ""],
    [["constructor"], 2, "", 'aami: unknown command "constructor", try: aami --help\n'],
    [["probe"], 2, "USAGE aami probe", "aami: no command given, try: aami probe --help\n"],
    [["probe", "--help"], 0, "USAGE aami probe", ""],
    [["probe", "nonsense"], 2, "", 'aami: unknown command "nonsense", try: aami probe --help\n'],
    [["probe", "collect", "--nonsense"], 2, "", 'aami: unknown option "--nonsense", try: aami probe collect --help\n'],
    [["probe", "mount", "--help"], 0, "[PATH]", ""],
    [["probe", "mount", "/proc"], 0, '"success":true', "/proc: statfs\n/proc: stat\n/proc: readdir\n"],
    [["probe", "mount", "/nowhere"], 1, '{"mountpoint":"/nowhere","success":false', "aami: not in order: /nowhere\n"],
    [["status", "now"], 2, "", 'aami: unexpected argument "now", try: aami status --help\n'],
    [["explain", "xid", "79", "80"], 2, "", 'aami: unexpected argument "80", try: aami explain --help\n'],
    [["explain"], 2, "", "aami: WHAT is missing, try: aami explain --help\n"],
    [["check", "run", "--config", "{}"], 2, "", "aami: FILE is missing, try: aami check run --help\n"],
    [["server", "--data"], 2, "", "aami: --data needs a value, try: aami server --help\n"],
    [["server", "--data", "/nowhere", "start"], 2, "", 'aami: unexpected argument "start", try: aami server --help\n'],
    [
      ["server", "--listen", "nowhere"],
      2,
      "",
      'aami: --listen: expected ADDRESS:PORT such as 127.0.0.1:8080, found "nowhere"\n',
    ],
    [
      ["server", "--listen", "1.2.3.4:99999"],
      2,
      "",
      'aami: --listen: expected ADDRESS:PORT such as 127.0.0.1:8080, found "1.2.3.4:99999"\n',
    ],
    [
      ["server", "--database", "mysql://u:secret@h/d"],
      2,
      "",
      "aami: --database: expected sqlite:///PATH or postgres://…\n",
    ],
    [
      ["server", "--config", "/nowhere.yaml"],
      78,
      "",
      "aami: /nowhere.yaml: cannot be read: ENOENT: no such file or directory, open '/nowhere.yaml'\n",
    ],
    [
      ["check", "run", "/nowhere.sh"],
      2,
      "",
      "aami: /nowhere.sh: cannot be read: ENOENT: no such file or directory, open '/nowhere.sh'\n",
    ],
    [
      ["status", "--url", "http://127.0.0.1:1"],
      2,
      "",
      "aami: no answer from http://127.0.0.1:1 (ECONNREFUSED): is the daemon running?\n",
    ],
  ] as const)("%p", (args, code, out, err) => {
    const result = aami(...args);
    expect(result).toEqual({ code, out: result.out, err });
    expect(result.out).toContain(out);
    expect(result.out).not.toContain("\u001b");
    expect(result.out).not.toMatch(/ $/m);
  });
});

const page = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/^aami (.*?) +# (\d+)$/gm)].map(([, args = "", code]): [string, number] => [
  args,
  Number(code),
]);

test.each(examples)("docs/errors.md: aami %s ends with %i", (args, code) => {
  const result = aami(...args.split(" "));
  expect([result.code, code === 0 ? "" : result.err.split("\n").length]).toEqual([code, code === 0 ? "" : 2]);
});

test("docs/errors.md has examples at all", () => expect(examples.length).toBeGreaterThan(20));

test.each(["daemon", "server"])("%s --check-config says whether there is a file at all", (command) => {
  const file = `/etc/aami/${command}.yaml`;
  const answer = existsSync(file) ? `${file}: ok` : `there is no ${file}: the defaults hold`;
  expect(aami(command, "--check-config")).toEqual({ code: 0, out: `${answer}\n`, err: "" });
});

test("a slow reader of a pipe gets everything that was printed", () => {
  const argv = selfCommand("daemon", "--print-config-schema").map((part) => `'${part}'`);
  const { stdout } = Bun.spawnSync(["sh", "-c", `${argv.join(" ")} | (sleep 0.5; cat)`], { stdin: "ignore" });
  expect(stdout.length).toBeGreaterThan(64 * 1024);
  expect(() => JSON.parse(stdout.toString())).not.toThrow();
});
