import { afterAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfCommand } from "../../runtime/self.ts";
import { waitFor } from "../harness/wait.ts";
import { lacksSandbox, survivors } from "./sandbox-fixture.ts";

const skip = await lacksSandbox();
const folder = mkdtempSync(skip ? "/tmp/aami-test-" : "/var/lib/aami-test-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function check(command: "run" | "lint", name: string, text: string, ...args: string[]) {
  const file = join(folder, name);
  writeFileSync(file, text);
  const limits = ["--daemon-config", join(folder, "absent.yaml")];
  const child = Bun.spawn([...selfCommand("check", command, file), ...args, ...limits], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out: out.replaceAll(file, name), err: err.replaceAll(file, name), code };
}

describe("aami check lint", () => {
  test.each<[string, string, string, RegExp, number]>([
    ["a good script", "good.sh", "echo 'a 1'\n", /^$/, 0],
    ["a bash syntax error", "bad.sh", "echo 1\nif then\n", /^bad\.sh:2: error: syntax error/, 1],
    ["a python syntax error", "bad.py", "x = (\n", /^bad\.py:1: error: SyntaxError/, 1],
    ["Windows line ends", "dos.sh", "echo a\r\necho b\r\n", /^dos\.sh:1: error: .*carriage return/, 1],
    ["a NUL byte", "nul.sh", "echo \0\n", /error: the script contains a NUL byte/, 1],
    [
      "a shebang that will not be obeyed",
      "perl.sh",
      "#!/usr/bin/perl\necho 1\n",
      /^perl\.sh:1: warning: the shebang/,
      0,
    ],
    ["asking for write access", "w.sh", 'mountpoint -q "$m" && [ -w "$m" ]\n', /^w\.sh:1: warning: -w asks/, 0],
    ["asking for write access in python", "w.py", "import os\nos.access(p, os.W_OK)\n", /^w\.py:2: warning: W_OK/, 0],
    ["the network", "net.sh", "x=$(curl -s http://localhost)\n", /^net\.sh:1: warning: there is no network/, 0],
    ["df over everything", "df.sh", "df -P | tail -1\n", /^df\.sh:1: warning: df without a path/, 0],
  ])("%s", async (_name, file, text, expected, exitCode) => {
    const { out, code } = await check("lint", file, text);
    expect(out).toMatch(expected);
    expect(code).toBe(exitCode);
  });

  test.each([
    ["no language", "script", "echo", [], "say --language"],
    ["bad JSON", "a.sh", "echo", ["--config", "{"], "--config: not JSON"],
    ["JSON that is no object", "a.sh", "echo", ["--config", "[]"], "a JSON object is needed"],
  ])("usage: %s", async (_name, file, text, args, message) => {
    const { err, code } = await check("lint", file, text, ...args);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});

describe.skipIf(skip)("aami check run", () => {
  test("prints what would be published", async () => {
    const script = 'echo "# TYPE a gauge"\necho "a{x=\\"$(jq -r .x <<<"$CONFIG")\\"} 1"\n';
    const { out, err, code } = await check("run", "good.sh", script, "--config", '{"x":"y"}');
    expect(out).toBe('# HELP a Reported by the check good.\n# TYPE a gauge\na{check="good",x="y"} 1\n');
    expect(err).toContain("check good: ok");
    expect(code).toBe(0);
  });

  test.each([
    ["bad output", "echo nonsense", [], "syntax: line 1"],
    ["its end", "exit 9", [], "exit: the script ended with 9"],
    ["a timeout", "sleep 100", ["--timeout", "1"], "timeout: killed after 1 s"],
    ["permissions beyond the node's", "echo", ["--permissions", '{"network":"host"}'], "refused: network"],
  ])("a failure by %s ends with 1 and says why", async (_name, script, args, reason) => {
    const { err, code } = await check("run", "bad.sh", script, ...args);
    expect(err).toContain(`check bad failed, ${reason}`);
    expect(code).toBe(1);
  });

  test("killed in the middle of a run it leaves no process behind, and the next start no control group", async () => {
    const name = `sleeper-${process.pid}`;
    const file = join(folder, `${name}.sh`);
    writeFileSync(file, "(setsid sleep 1000 &) ; echo started >&2; sleep 1000\n");
    const uid = Number(Bun.spawnSync(["id", "-u", "aami-check"]).stdout.toString());
    const sleeping = () => survivors(uid, name).filter((line) => line.endsWith("sleep")).length;
    const child = Bun.spawn([...selfCommand("check", "run", file), "--timeout", "500"], { stderr: "ignore" });
    await waitFor("both sleeps", () => sleeping() >= 2);
    child.kill("SIGKILL");
    await child.exited;
    await waitFor("their end", () => sleeping() === 0);
    await check("run", "after.sh", "echo 'a 1'");
    const leaves = new Bun.Glob(`**/run.${name}.${child.pid}-*`).scanSync({ cwd: "/sys/fs/cgroup", onlyFiles: false });
    expect([...leaves]).toEqual([]);
  });

  test("a probe directory is opened by this program itself, become the sandbox", async () => {
    const probe = join(folder, "probe");
    mkdirSync(probe);
    const uid = Number(Bun.spawnSync(["id", "-u", "aami-check"]).stdout.toString());
    chownSync(probe, uid, uid);
    const script = `touch ${probe}/x && echo written 1\nls /proc/self/fd | wc -l >&2\n`;
    const { out, err } = await check("run", "write.sh", script, "--permissions", JSON.stringify({ write: [probe] }));
    expect(out).toContain('written{check="write"} 1\n');
    // 0, 1, 2 and the folder that ls itself opened: the probe's descriptor did not stay.
    expect(err).toStartWith("4\n");
    expect(readdirSync(probe)).toEqual(["x"]);
  });
});
