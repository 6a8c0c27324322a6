import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../harness/wait.ts";
import { lacksSandbox, openTestSandbox, survivors, testChecks, type TestSandbox } from "./sandbox-fixture.ts";

const skip = await lacksSandbox();
// Not below /tmp, which may be a file system of its own: root directories of checks are built in here.
const state = skip ? "" : mkdtempSync("/var/lib/aami-test-");
afterAll(() => rmSync(state, { recursive: true, force: true }));

/** Says "refused" unless the command succeeds; its own words go nowhere. */
const refused = (command: string) => `if ${command} >/dev/null 2>&1; then echo allowed; else echo refused; fi`;
const python = (code: string) => ({ language: "python", script: code });

// Each attack prints what came of it; the expected text is what a wall that holds makes of it.
const attacks: readonly [string, string | { language: string; script: string }, string | RegExp][] = [
  ["identity is changed, not mapped", "tr -s ' ' </proc/self/uid_map; id -u", /^ 0 0 4294967295\n[1-9]\d*\n$/],
  ["no groups", "grep ^Groups /proc/self/status | tr -d '[:space:]'", "Groups:"],
  ["no capabilities, none to be had", "grep -c '^Cap.*:[[:space:]]*0\\{16\\}$' /proc/self/status", "5\n"],
  [
    "no new privileges, a filter",
    "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'",
    "NoNewPrivs:1\nSeccomp:2\n",
  ],
  ["shadow", refused("cat /etc/shadow"), "refused\n"],
  ["sudoers and root's home", refused("ls /root /etc/sudoers"), "refused\n"],
  ["environment of pid 1", refused("cat /proc/1/environ"), "refused\n"],
  ["descriptors of pid 1", refused("ls /proc/1/fd"), "refused\n"],
  ["the daemon's processes", "ls /proc | grep -c '^[0-9]'", /^[1-6]\n$/],
  [
    "environment holds what was given",
    "env | sed 's/=.*//' | sort | tr '\\n' ' '",
    "CHECK_CONFIG CHECK_HOST_MOUNTINFO CHECK_NAME CONFIG HOME LANG PATH PWD SHLVL TMPDIR _ ",
  ],
  [
    "descriptors 0 to 2 only",
    python("import os\nprint([f for f in range(3, 256) if os.path.exists('/proc/self/fd/%d' % f)])"),
    "[]\n",
  ],
  ["its own standard input", refused("bash -c 'echo x >/proc/self/fd/0'"), "refused\n"],
  ["user namespace", refused("unshare --user true"), "refused\n"],
  ["mount", refused("mount -t tmpfs none /run/check/tmp"), "refused\n"],
  ["remount read-write", refused("mount -o remount,rw /usr"), "refused\n"],
  ["bubblewrap inside", refused("bwrap --ro-bind / / true"), "refused\n"],
  ["su", refused("su -c true"), "refused\n"],
  ["set-user-id", "cp /bin/true t; " + refused("chmod u+s t"), "refused\n"],
  [
    "creating a set-user-id file",
    python(
      "import os\ntry:\n os.open('x', os.O_CREAT | os.O_WRONLY, 0o4755); print('allowed')\nexcept PermissionError: print('refused')",
    ),
    "refused\n",
  ],
  ["fifo and device nodes", `${refused("mkfifo p")}; ${refused("mknod n c 1 3")}`, "refused\nrefused\n"],
  [
    "strace of itself",
    python(
      "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.ptrace(0, 0, 0, 0), ctypes.get_errno())",
    ),
    "-1 1\n",
  ],
  [
    "typing into a terminal",
    python(
      "import fcntl\ntry:\n fcntl.ioctl(0, 0x5412, b'x'); print('allowed')\nexcept PermissionError: print('refused')",
    ),
    "refused\n",
  ],
  ["no terminal", refused("cat </dev/tty"), "refused\n"],
  ["the kernel's log", refused("dmesg"), "refused\n"],
  ["memory and disks", "ls /dev | grep -cE '^(mem|kmem|kmsg|port|sd|vd|nvme|dm-|loop)'; true", "0\n"],
  ["kernel addresses", "cat /proc/kallsyms /proc/kcore 2>/dev/null | head -c 10 | wc -c", "0\n"],
  ["sysrq", refused("sh -c 'echo h >/proc/sysrq-trigger && false'"), "refused\n"],
  [
    "writes outside of TMPDIR",
    ["/", "/etc", "/usr", "/sys", "/proc/sys/kernel", "/run", "/dev"]
      .map((path) => refused(`touch ${path}/x`))
      .join("; "),
    "refused\n".repeat(7),
  ],
  [
    "its own script and configuration",
    refused("sh -c 'echo x >>/run/check/script || echo x >>/run/check/config.json'"),
    "refused\n",
  ],
  ["moving to another control group", refused("sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs'"), "refused\n"],
  [
    "raw and other sockets",
    python(
      "import socket\nfor f in (socket.AF_UNIX, socket.AF_PACKET, 38, 40):\n  try: socket.socket(f, socket.SOCK_DGRAM); print('allowed')\n  except OSError as e: print(e.errno)",
    ),
    "97\n97\n97\n97\n",
  ],
  [
    "the internet",
    python(
      "import socket\nfor a in ('169.254.169.254', '192.0.2.1'):\n  try: socket.create_connection((a, 80), 2); print('allowed')\n  except OSError as e: print('refused')",
    ),
    "refused\nrefused\n",
  ],
  ["name resolution", refused("getent hosts example.org"), "refused\n"],
  ["killing everything", "kill -9 -1 2>/dev/null; kill -9 1 2>/dev/null; echo alive", "alive\n"],
  ["files left for the next run", "ls -A /tmp /dev/shm | tr -d '\\n'; touch /tmp/left /dev/shm/left", "/dev/shm:/tmp:"],
  ["more space than it has", refused("sh -c 'head -c 100M /dev/zero >/dev/shm/x'"), "refused\n"],
  [
    "more files than it may open",
    python(
      "f = []\ntry:\n  while True: f.append(open('/dev/null'))\nexcept OSError as e: print(e.errno, len(f) < 256)",
    ),
    "24 True\n",
  ],
];

const works: readonly [string, string | { language: string; script: string }, string | RegExp][] = [
  [
    "configuration by CONFIG, standard input and $CHECK_CONFIG",
    'echo "$CONFIG"; cat; echo; cat "$CHECK_CONFIG"',
    '{"a":1}\n{"a":1}\n{"a":1}',
  ],
  ["/dev/stdout and /dev/stderr", "echo x >/dev/stdout; echo y | tee /dev/stderr", "x\ny\n"],
  ["a shebang is a comment", "#!/usr/bin/perl\necho $BASH_VERSION | head -c 1", /\d/],
  [
    "python is isolated",
    python("#!/bin/sh\nimport sys\nprint(sys.flags.isolated, sys.flags.dont_write_bytecode, '' in sys.path)"),
    "1 1 False\n",
  ],
  [
    "a place for temporary files",
    "t=$(mktemp); echo x >$t; cat $t; [[ $t == /run/check/tmp/* ]] && ! mountpoint -q /tmp && echo plain",
    "x\nplain\n",
  ],
  ["jq, as the documented examples use it", 'echo "$CONFIG" | jq .a', "1\n"],
  [
    "the host's load, memory and devices",
    "cut -d' ' -f1 /proc/loadavg; grep -c MemTotal /proc/meminfo; ls /sys/class/net | grep -cx lo",
    /^[\d.]+\n1\n1\n$/,
  ],
  ["numbers with a point", "printf '%.1f\\n' 1.5", "1.5\n"],
  ["forks, pipes and background work", "for i in 1 2 3; do (echo $i) & done | sort; wait", "1\n2\n3\n"],
];

describe.skipIf(skip).each(["auto", "off"] as const)("cgroup %s", (cgroup) => {
  let box: TestSandbox;
  beforeAll(() => {
    box = openTestSandbox(cgroup, { stateDirectory: state });
  });
  const start = (what: string | { language: string; script: string }, config = {}) =>
    typeof what === "string" ? box.run(what, { config }) : box.run(what.script, { language: what.language, config });

  test.each(attacks)("attack: %s", async (_name, attack, expected) => {
    const { outcome, out, leftBehind } = await start(attack);
    expect(outcome).not.toBe("sandbox_error");
    expect(leftBehind).toBe(false);
    if (typeof expected === "string") expect(out).toBe(expected);
    else expect(out).toMatch(expected);
  });

  test.each(works)("works: %s", async (_name, script, expected) => {
    const { outcome, out, err } = await start(script, { a: 1 });
    expect({ outcome, err: outcome === "ok" ? "" : err }).toEqual({ outcome: "ok", err: "" });
    if (typeof expected === "string") expect(out).toBe(expected);
    else expect(out).toMatch(expected);
  });

  test("a root-only file of the state directory, the daemon's TCP port and its abstract socket are out of reach", async () => {
    const canary = join(state, "canary");
    writeFileSync(canary, "secret");
    chmodSync(canary, 0o600);
    using tcp = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const name = `aami-test-${process.pid}`;
    using _abstract = Bun.listen({ unix: `\0${name}`, socket: { data: () => {} } });
    const script = [
      "import socket",
      "def tried(what):",
      "  try: what(); print('allowed')",
      "  except OSError: print('refused')",
      `tried(lambda: open(${JSON.stringify(canary)}))`,
      `tried(lambda: socket.create_connection(('127.0.0.1', ${tcp.port}), 2))`,
      `tried(lambda: socket.socket(socket.AF_UNIX).connect('\\0${name}'))`,
    ].join("\n");
    const { out } = await box.run(script, { language: "python" });
    expect(out).toBe("refused\nrefused\nrefused\n");
  });

  test.each<[string, string, Partial<Parameters<TestSandbox["run"]>[1]>, string]>([
    ["sleeps for ever", "sleep 1000", { timeoutSeconds: 1 }, "timeout"],
    [
      "ignores every signal it can",
      "trap '' TERM INT HUP; while :; do sleep 1; done",
      { timeoutSeconds: 1 },
      "timeout",
    ],
    ["stops itself", "kill -STOP $$", { timeoutSeconds: 1 }, "timeout"],
    ["closes its output and goes on", "exec >&- 2>&-; sleep 1000", { timeoutSeconds: 1 }, "timeout"],
    ["prints 10 GB", "head -c 10G /dev/zero", {}, "output"],
    ["prints errors for ever", "yes >&2", {}, "output"],
    ["ends with 7", "exit 7", {}, "exit"],
    ["is no program", "\u007fELF\u0001", {}, "exit"],
    ["does not fit its hash", "echo", { scriptSha256: "0".repeat(64) }, "refused"],
    ["leaves a child that holds the output", "sleep 1000 & echo done", {}, "ok"],
    ["leaves a child in a session of its own", "(setsid sleep 1000 >/dev/null 2>&1 &); echo done", {}, "ok"],
    ["forks without end", ":() { : | : & }; :; sleep 1000", { timeoutSeconds: 2 }, "timeout"],
  ])("a script that %s: %s", async (_name, script, changes, outcome) => {
    const before = performance.now();
    const run = await box.run(script, changes);
    expect(run.outcome).toBe(outcome as never);
    expect(run.leftBehind).toBe(false);
    await waitFor("no survivors", () => survivors(box.sandbox.user.uid, testChecks).length === 0);
    // Far below the 1000 s of the sleeps and the default timeout: a run never waits for what it killed.
    if (changes?.timeoutSeconds === undefined) expect(performance.now() - before).toBeLessThan(45_000);
  });

  test("a memory hog is stopped at its limit", async () => {
    const { outcome, exitCode, out } = await box.run("x = bytearray(400 * 1024 * 1024)\nprint('kept')", {
      language: "python",
    });
    expect(out).toBe("");
    expect(outcome === "oom" || (outcome === "exit" && exitCode !== 0)).toBe(true);
  });

  test("processes are limited", async () => {
    const script =
      "import os, time\nn = 0\ntry:\n  while n < 500:\n    if os.fork() == 0: time.sleep(60)\n    n += 1\nexcept OSError: pass\nprint(n)";
    const { out } = await box.run(script, { language: "python" });
    expect(Number(out.trim().split("\n").at(-1))).toBeLessThan(300);
    await waitFor("no survivors", () => survivors(box.sandbox.user.uid, testChecks).length === 0);
  });

  test("no descriptor of ours is lost over a hundred runs", async () => {
    await box.run("true");
    const count = () => readdirSync("/proc/self/fd").length;
    const before = count();
    await Promise.all(Array.from({ length: 100 }, () => box.run("echo x")));
    // The runtime opens and closes a few of its own; one lost per run would be a hundred.
    await waitFor("descriptors to be closed", () => count() < before + 20);
  });
});

describe.skipIf(skip)("what a check sees of the file systems", () => {
  test("df / shows the host's root file system", async () => {
    const box = openTestSandbox("auto", { stateDirectory: state });
    const { out } = await box.run("df -P --block-size=1 / /declared-and-absent | awk 'NR > 1 { print $2 }'", {
      permissions: { paths: ["/declared-and-absent"] },
    });
    const { blocks, bsize } = statfsSync("/");
    expect(out).toBe(`${blocks * bsize}\n${blocks * bsize}\n`);
    expect(existsSync("/declared-and-absent")).toBe(false);
  });
});
