import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { checkLibrary } from "../../checks/library/library.ts";
import { parseOutput } from "../../checks/output.ts";
import { mountFuse, runTool } from "../equipment/broken-mounts.ts";
import { isInPrivateNamespace, namespaceLimitMs, testInPrivateNamespace } from "../equipment/private-namespace.ts";
import { waitFor } from "../harness/wait.ts";
import { lacksSandbox, openTestSandbox, type TestSandbox } from "./sandbox-fixture.ts";

const skip = await lacksSandbox();
if (isInPrivateNamespace) {
  describe("what a check sees of the host's mounts", testMounts);
} else {
  test.skipIf(skip)(
    "what a check sees of the host's mounts, in a private namespace",
    () => testInPrivateNamespace(import.meta.path),
    namespaceLimitMs,
  );
}

function testMounts(): void {
  let folder = "";
  let box: TestSandbox;
  const path = (name: string) => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync("/var/lib/aami-mounts-");
    // In the hostfs view the check user goes its own way through the folders.
    chmodSync(folder, 0o755);
    box = openTestSandbox("auto", { stateDirectory: path("state"), limits: { views: ["minimal", "hostfs"] } });
    for (const name of ["mounted", "with space", "plain", "shadowed"]) mkdirSync(path(name));
    for (const name of ["mounted", "with space"]) runTool("mount", "-t", "tmpfs", "-o", "size=4M", "none", path(name));
  });
  afterAll(() => {
    for (const name of ["mounted", "with space"]) Bun.spawnSync(["umount", "-l", path(name)]);
    rmSync(folder, { recursive: true, force: true });
  });
  const isMounted = "for p in $PATHS; do mountpoint -q $p && echo yes || echo no; done";
  const ask = async (view: string, ...paths: string[]): Promise<string[]> => {
    const { out, outcome, err, message } = await box.run(`PATHS="${paths.join(" ")}"; ${isMounted}`, {
      permissions: { paths, view },
    });
    expect({ outcome, err, message }).toEqual({ outcome: "ok", err: "", message: "" });
    return out.trim().split("\n");
  };

  test.each(["minimal", "hostfs"])("%s: mountpoint -q says what the host says", async (view) => {
    expect(await ask(view, path("mounted"), path("plain"))).toEqual(["yes", "no"]);
  });

  test("a path that is not there is a bare directory and no mount", async () => {
    expect(await ask("minimal", path("absent"))).toEqual(["no"]);
    expect(readdirSync(folder)).not.toContain("absent");
  });

  test.each(["minimal", "hostfs"])("%s: unmounted and mounted again between two runs", async (view) => {
    runTool("umount", path("mounted"));
    expect(await ask(view, path("mounted"))).toEqual(["no"]);
    runTool("mount", "-t", "tmpfs", "-o", "size=4M", "none", path("mounted"));
    expect(await ask(view, path("mounted"))).toEqual(["yes"]);
  });

  test("a declared mount has the host's size and cannot be written", async () => {
    const { out } = await box.run(
      `df -P --block-size=1 ${path("mounted")} | awk 'NR > 1 { print $2 }'; touch ${path("mounted")}/x 2>&1 | grep -c Read-only`,
      { permissions: { paths: [path("mounted")] } },
    );
    expect(out).toBe(`${4 * 1024 * 1024}\n1\n`);
  });

  test("paths that the configuration names need no declaration", async () => {
    const { out } = await box.run(`mountpoint -q ${path("mounted")} && echo yes`, {
      config: { any: { mount_points: [path("mounted"), "not a path", "/etc"] } },
    });
    expect(out).toBe("yes\n");
  });

  test("hostfs hides secrets and stays read-only", async () => {
    const { out, message } = await box.run(
      "ls -A /root /boot /var/log /etc/ssh 2>/dev/null | grep -v : | tr -d '\\n'; head -c 1 /etc/shadow | wc -c; touch /etc/x 2>&1 | grep -c Read-only; ls /run",
      { permissions: { view: "hostfs" } },
    );
    expect({ out, message }).toEqual({ out: "0\n1\ncheck\n", message: "" });
  });

  describe("write grants", () => {
    const writes = (directory: string) =>
      `touch ${directory}/x && echo written; ls -A ${directory} 2>/dev/null | tr '\\n' ' '`;
    const grant = async (directory: string, paths: string[] = []) =>
      box.run(writes(directory), { permissions: { write: [directory], paths } });
    const own = (directory: string) => {
      mkdirSync(directory, { recursive: true });
      chownSync(directory, box.sandbox.user.uid, box.sandbox.user.gid);
      return directory;
    };

    test("a probe directory of the check user is written through the real file system", async () => {
      const probe = own(join(path("mounted"), "probe"));
      const { out, message } = await grant(probe, [path("mounted")]);
      expect({ out, message }).toEqual({ out: "written\nx ", message: "" });
      expect(readdirSync(probe)).toEqual(["x"]);
    });

    test("and it is emptied before the next run, of the check user's files only", async () => {
      const probe = own(path("emptied"));
      own(join(probe, "a/b"));
      chownSync(join(probe, "a"), box.sandbox.user.uid, 0);
      writeFileSync(join(probe, "a/old"), "");
      writeFileSync(join(probe, "roots"), "");
      symlinkSync("/etc", join(probe, "link"));
      lchownSync(join(probe, "link"), box.sandbox.user.uid, 0);
      const before = readdirSync("/etc").length;
      const { out } = await grant(probe);
      expect(out).toBe("written\na roots x ");
      expect(readdirSync("/etc").length).toBe(before);
    });

    test.each<[string, () => string, RegExp]>([
      ["is a symbolic link", () => (symlinkSync("/etc", path("link")), path("link")), /cannot be written/],
      [
        "lies behind a symbolic link",
        () => (own(path("real/probe")), symlinkSync(path("real"), path("via")), path("via/probe")),
        /cannot be written/,
      ],
      ["points at /etc by its parent", () => (symlinkSync("/", path("root")), path("root/etc")), /cannot be written/],
      ["belongs to root", () => (mkdirSync(path("roots")), path("roots")), /belongs to uid 0/],
      ["is not there", () => path("nowhere"), /cannot be written/],
    ])("a directory that %s is not given, and the run says so", async (_name, prepare, reason) => {
      const { outcome, out, message } = await grant(prepare());
      expect(outcome).not.toBe("sandbox_error");
      expect(out).not.toContain("written");
      expect(message).toMatch(reason);
    });

    test("below a declared path where nothing is mounted it is not given: the write would go elsewhere", async () => {
      const { out, message } = await grant(own(join(path("plain"), "probe")), [path("plain")]);
      expect(out).not.toContain("written");
      expect(message).toContain(`nothing is mounted on ${path("plain")}`);
    });
  });

  describe("the library", () => {
    const run = async (name: string, config: Record<string, unknown>) => {
      const check = checkLibrary.find((known) => known.name === name);
      if (check === undefined) throw new Error(`no ${name}`);
      const { outcome, out, err } = await box.run(check.script, { language: check.language, config });
      expect({ outcome, err: outcome === "ok" ? "" : err }).toEqual({ outcome: "ok", err: "" });
      const families = parseOutput(new TextEncoder().encode(out), { check: name, maxSeries: 100 });
      return (metric: string, of: string) =>
        families.find((family) => family.name === metric)?.samples.find(({ labels }) => labels["path"] === of)?.value;
    };

    test("mount_points", async () => {
      const paths = ["/", path("mounted"), path("plain"), path("absent")];
      const value = await run("mount_points", { paths });
      expect(paths.map((one) => value("mount_check", one))).toEqual([1, 1, 0, 0]);
    });

    test("mount_points and a file system that became read-only", async () => {
      runTool("mount", "-o", "remount,ro", path("mounted"));
      try {
        const strict = await run("mount_points", { mount_points: [path("mounted")] });
        expect(strict("mount_check", path("mounted"))).toBe(0);
        const lenient = await run("mount_points", { paths: [path("mounted")], read_only_is_failure: false });
        expect(lenient("mount_check", path("mounted"))).toBe(1);
      } finally {
        runTool("mount", "-o", "remount,rw", path("mounted"));
      }
    });

    test("disk_usage", async () => {
      const value = await run("disk_usage", { paths: ["/", path("mounted"), path("plain")] });
      const root = statfsSync("/");
      expect(value("disk_usage_size_bytes", "/")).toBe(root.blocks * root.bsize);
      expect(value("disk_usage_size_bytes", path("mounted"))).toBe(4 * 1024 * 1024);
      expect(value("disk_usage_ratio", path("mounted"))).toBeLessThan(0.1);
      expect(value("disk_usage_check", path("plain"))).toBe(0);
      expect(value("disk_usage_ratio", path("plain"))).toBeUndefined();
    });

    test.each(checkLibrary.map((check) => [check.name, check] as const))(
      "%s with its defaults",
      async (name, check) => {
        const value = await run(name, { ...check.defaultConfig });
        expect(value(name === "mount_points" ? "mount_check" : "disk_usage_check", "/")).toBe(1);
      },
    );
  });

  // The forms that AAMI's own guide for check authors shows.
  describe("scripts as people have them", () => {
    const run = async (language: string, script: string, config: Record<string, unknown>) => {
      const { outcome, out } = await box.run(script, { language, config });
      expect(outcome).toBe("ok");
      return parseOutput(new TextEncoder().encode(out), { check: "demo", maxSeries: 100 }).flatMap(
        ({ name, samples }) => samples.map(({ labels: { check: _check, ...labels }, value }) => [name, labels, value]),
      );
    };

    test("bash with jq, mountpoint and a loop", async () => {
      const script = [
        "set -euo pipefail",
        `mount_points=$(echo "$CONFIG" | jq -r '.mount_points[]' 2>/dev/null || echo "")`,
        'echo "# HELP mount_check Mount point accessibility (1=ok, 0=fail)"',
        'echo "# TYPE mount_check gauge"',
        "for mp in $mount_points; do",
        '  if mountpoint -q "$mp" 2>/dev/null; then echo "mount_check{path=\\"$mp\\"} 1"; else echo "mount_check{path=\\"$mp\\"} 0"; fi',
        "done",
      ].join("\n");
      expect(await run("bash", script, { mount_points: [path("mounted"), path("plain")] })).toEqual([
        ["mount_check", { path: path("mounted") }, 1],
        ["mount_check", { path: path("plain") }, 0],
      ]);
    });

    test("python with os.path.ismount", async () => {
      const script = [
        "import os, json",
        "config = json.loads(os.environ.get('CONFIG', '{}'))",
        "for mp in config.get('mount_points', []):",
        "    print(f'mount_check{{path=\"{mp}\"}} {int(os.path.ismount(mp))}')",
      ].join("\n");
      expect(await run("python", script, { mount_points: [path("mounted"), path("plain"), "/"] })).toEqual([
        ["mount_check", { path: path("mounted") }, 1],
        ["mount_check", { path: path("plain") }, 0],
        ["mount_check", { path: "/" }, 1],
      ]);
    });

    test("df of the root file system through awk", async () => {
      const script = `df -h / | tail -1 | awk '{gsub(/%/,""); print "disk_usage_percent{mountpoint=\\"/\\"} " $5}'`;
      const [[name, labels, value] = []] = await run("bash", script, {});
      expect([name, labels]).toEqual(["disk_usage_percent", { mountpoint: "/" }]);
      expect(value).toBeWithin(0, 101);
    });

    test("a mount that the check user owns is writable where it is granted", async () => {
      writeFileSync(path("mounted/kept"), "");
      runTool("chown", "-R", "aami-check", path("mounted"));
      const { out } = await box.run(`mountpoint -q ${path("mounted")} && [ -w ${path("mounted")} ] && echo writable`, {
        permissions: { paths: [path("mounted")], write: [path("mounted")] },
      });
      runTool("chown", "-R", "root", path("mounted"));
      expect(out).toBe("writable\n");
      // It is somebody's file system and no probe directory: nothing is cleaned up in it.
      expect(readdirSync(path("mounted"))).toContain("kept");
    });
  });

  test("a check in the kernel's hands is stuck, is not started again, and runs when it is let go", async () => {
    using hung = await mountFuse(path("hung"));
    const permissions = { paths: [hung.mountPoint] };
    const timeoutSeconds = 5;
    const stat = () =>
      box.run(`stat -f ${hung.mountPoint} >/dev/null && echo answered`, {
        name: "dead-storage",
        timeoutSeconds,
        permissions,
      });
    expect(await stat()).toMatchObject({ outcome: "ok", out: "answered\n" });
    await hung.hang("statfs");
    const first = await stat();
    expect(first).toMatchObject({ outcome: "stuck", leftBehind: true });
    const started = performance.now();
    expect(await stat()).toMatchObject({ outcome: "stuck", leftBehind: true });
    expect(performance.now() - started).toBeLessThan(timeoutSeconds * 1000);
    expect(await box.run("echo fine")).toMatchObject({ outcome: "ok", out: "fine\n" });
    await hung.answer();
    await waitFor("the check to run again", async () => (await stat()).outcome === "ok");
  });

  test("a mount that hangs before the script starts is stuck as well, and costs nobody else", async () => {
    using hung = await mountFuse(path("hung-early"));
    await hung.hang("getattr");
    const run = await box.run("echo started", {
      name: "early",
      timeoutSeconds: 1,
      permissions: { paths: [hung.mountPoint] },
    });
    expect(run).toMatchObject({ outcome: "stuck", out: "" });
    expect(await box.run("echo fine")).toMatchObject({ outcome: "ok", out: "fine\n" });
    await hung.answer();
  });
}
