import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sxids, xids } from "../../../checks/catalogue/catalogue.ts";
import { builtinChecks } from "../../../checks/builtin/registry.ts";
import { explain } from "../../../daemon/status/explain.ts";
import type { StatusView } from "../../../daemon/status/view.ts";
import { selfCommand } from "../../../runtime/self.ts";
import { waitFor } from "../../harness/wait.ts";
import { startDaemonProcess } from "../running-daemon.ts";
import { checkView, statusView } from "./views.ts";
import { sharedFolder } from "../../harness/workspace.ts";

type Outcome = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

const run = (...args: readonly string[]): Promise<Outcome> => runWith({}, ...args);

async function runWith(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn(selfCommand(...args), { env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode, stdout, stderr };
}

function serve(answer: (request: Request) => Response) {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.dispose]: () => void server.stop(true) };
}

describe("aami status", () => {
  const folder = sharedFolder();
  const critical = statusView({
    status: "critical",
    checks: { checks: [checkView("mounts", { status: "critical" })] },
  });

  test.each([
    ["ok", 0],
    ["warning", 1],
    ["critical", 1],
    ["unknown", 1],
  ] as const)("a node that is %s ends with %d", async (status, code) => {
    using daemon = serve(() => Response.json(statusView({ status })));
    const { exitCode, stdout, stderr } = await run("status", "--url", daemon.url);
    expect(stdout).toStartWith(`gpu-17: ${status}, `);
    expect([exitCode, stderr]).toEqual([code, ""]);
  });

  test("a daemon without checks has no problem", async () => {
    const file = join(folder, "no-checks.yaml");
    writeFileSync(file, "checks: { enabled: false }\n");
    await using daemon = await startDaemonProcess(`--config=${file}`);
    const { exitCode, stdout } = await run("status", "--url", daemon.url);
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^[^ ]+: no checks run here\n/)]);
  });

  test("what of the file is not in force is told", async () => {
    const configuration = { not_in_force_since: "2026-11-20T11:00:00.000Z", reason: "a restart is needed for checks" };
    using daemon = serve(() => Response.json(statusView({ configuration })));
    expect((await run("status", "--url", daemon.url)).stdout).toContain(
      "! not all of the configuration file is in force, since 2026-11-20 11:00:00 UTC: a restart is needed for checks\n",
    );
  });

  test("--json is the answer as it is", async () => {
    using daemon = serve(() => Response.json(critical));
    const { exitCode, stdout } = await run("status", "--json", `--url=${daemon.url}`);
    expect(JSON.parse(stdout) as unknown).toEqual(JSON.parse(JSON.stringify(critical)));
    expect(exitCode).toBe(1);
  });

  test.each([
    [
      "nobody listens",
      () => "http://127.0.0.1:1",
      "no answer from http://127.0.0.1:1 (ECONNREFUSED): is the daemon running?",
    ],
    ["the URL is none", () => "nonsense", "--url nonsense: expected a URL such as http://127.0.0.1:9100"],
    ["no scheme", () => "localhost:9100", "--url localhost:9100: expected a URL such as http://127.0.0.1:9100"],
    ["another scheme", () => "ftp://localhost", "--url ftp://localhost: expected a URL such as http://127.0.0.1:9100"],
  ])("%s: 2", async (_what, url, message) => {
    const { exitCode, stderr, stdout } = await run("status", "--url", url());
    expect(stderr).toStartWith(`aami: ${message}`);
    expect([exitCode, stdout]).toEqual([2, ""]);
  });

  test("another program is not taken for a daemon", async () => {
    for (const body of ["<html>", "{}", "null"]) {
      using other = serve(() => new Response(body));
      const { exitCode, stderr } = await run("status", "--url", other.url);
      expect([exitCode, stderr]).toEqual([2, `aami: ${other.url} is not an aami daemon\n`]);
    }
  });

  test.each([{}, { NO_PROXY: "example.org" }, { no_proxy: "example.org" }])(
    "no proxy is asked about this machine (%o)",
    async (exceptions) => {
      using daemon = serve(() => Response.json(statusView()));
      const environment = { http_proxy: "http://127.0.0.1:1", ...exceptions };
      const { exitCode, stderr } = await runWith(environment, "status", "--url", daemon.url);
      expect([exitCode, stderr]).toEqual([0, ""]);
    },
  );

  test("node_exporter is not, either", async () => {
    using exporter = serve(() => new Response("404 page not found\n", { status: 404 }));
    const { stderr } = await run("status", "--url", exporter.url);
    expect(stderr).toBe(`aami: ${exporter.url}/api/v1/status answers with 404: is this another program?\n`);
  });

  test("a password is sent, and asked for where it is missing", async () => {
    const expected = `Basic ${btoa("admin:s3cret")}`;
    using daemon = serve((request) =>
      request.headers.get("authorization") === expected
        ? Response.json(statusView())
        : new Response("", { status: 401 }),
    );
    const file = join(folder, "password");
    writeFileSync(file, "s3cret\n");
    const good = await run("status", "--url", daemon.url, "--user", "admin", "--password-file", file);
    expect([good.exitCode, good.stderr]).toEqual([0, ""]);
    const bad = await run("status", "--url", daemon.url);
    expect(bad.exitCode).toBe(2);
    expect(bad.stderr).toContain("answers with 401, give --user and --password-file");
    const wrong = await run("status", "--url", daemon.url, "--user", "root", "--password-file", file);
    expect(wrong.stderr).toContain(`answers with 401: no user root with the password in ${file}`);
  });

  test("a running daemon answers with its builtin checks, snake_case throughout", async () => {
    await using daemon = await startDaemonProcess();
    const view = await waitFor("file_handles to be ok", async () => {
      const now = (await (await daemon.get("/api/v1/status")).json()) as StatusView;
      return now.checks.checks.some(({ name, status }) => name === "file_handles" && status === "ok") && now;
    });
    expect(keysOf(view).filter((key) => /[A-Z]/.test(key))).toEqual([]);
    const longNumbers = Object.values(view.collectors).filter((collector) => /\.\d{7}/.test(JSON.stringify(collector)));
    expect(longNumbers).toEqual([]);
    const { stdout } = await run("status", "--url", daemon.url, "--all");
    expect(stdout).toContain(`${view.hostname}: `);
    expect(stdout).toContain("check ");
    const page = await (await daemon.get("/")).text();
    expect(page).toContain(`<h1>${view.hostname}</h1>`);
    const series = (await daemon.page()).split("\n").filter((line) => line.startsWith("aami_check_status{"));
    expect(series).toContain('aami_check_status{check="file_handles",status="ok"} 1');
  }, 180_000);
});

function keysOf(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  if (Array.isArray(value)) return value.flatMap(keysOf);
  return Object.entries(value).flatMap(([key, nested]) => [key, ...keysOf(nested)]);
}

describe("aami explain", () => {
  test.each([
    ["xid", "79", ["Xid 79: GPU has fallen off the bus", "What to do (reboot):", "after two reboots"]],
    ["xid", "31", ["Xid 31: GPU memory page fault", "No reason to touch the node", "check_application"]],
    ["xid", "94", ["The memory of the GPU had an uncorrectable ECC error", "check_application"]],
    ["sxid", "20034", ["SXid 20034: LTSSM Fault Up", "What to do (reboot):"]],
    ["mounts", undefined, ["mounts: Mounts that hang", "checks.builtin.mounts", "ignore ([])"]],
  ] as const)("%s %s", (what, code, expected) => {
    const text = explain(what, code);
    for (const part of expected) expect(text).toContain(part);
  });

  test("sub-codes of an NVLink are listed with what they ask for", () => {
    const text = explain("xid", "149");
    expect(text).toContain("NETIR_LINK_DOWN 4: critical, inspect_hardware (suspect the signal of the link)\n");
    expect(explain("xid", "79")).not.toContain("sub-code");
  });

  test("a sub-code with two meanings is listed with what tells them apart, and nothing is listed twice", () => {
    const text = explain("xid", "149");
    expect(text).toContain("NETIR_MFDE_EVENT 0, error status 0x00000003: info, none\n");
    expect(text).not.toContain("A warning:");
    for (const code of [144, 145, 146, 147, 148, 149, 150]) {
      const named = explain("xid", String(code))
        .split("\n")
        .flatMap((line) => /^ {2}([^:]+):/.exec(line)?.[1] ?? []);
      expect(named.length).toBeGreaterThan(0);
      expect(new Set(named).size).toBe(named.length);
    }
  });

  test.each([
    ["XID", "79"],
    ["xid79", undefined],
    ["Xid 79", undefined],
    ["XID-79", undefined],
  ])("%s %s is understood", (what, code) => expect(explain(what, code)).toBe(explain("xid", "79")));

  test("every code and every check has an explanation", () => {
    for (const code of xids.keys()) expect(explain("xid", String(code))).toContain("What to do");
    for (const code of sxids.keys()) expect(explain("sxid", String(code))).toContain("What to do");
    for (const { name } of builtinChecks) expect(explain(name, undefined)).toStartWith(`${name}: `);
  });

  test.each([
    [["xid"], 2, "give the number: aami explain xid 79"],
    [["xid", "many"], 2, "give the number: aami explain xid 79"],
    [["sxid", "1"], 1, "there is no SXid 1, but an Xid: aami explain xid 1"],
    [["xid", "20034"], 1, "there is no Xid 20034, but an SXid: aami explain sxid 20034"],
    [["xid", "999"], 1, "Xid 999 is not in this version's catalogue (codes from 1 to 173). A newer driver may have it"],
    [["sxid", "99999"], 1, "SXid 99999 is not in this version's catalogue (codes from 10001 to 2"],
    [["xid", "99999999999999999999"], 1, "is not in this version's catalogue"],
    [["monts"], 2, 'nothing is known about "monts"; did you mean mounts?'],
  ] as const)("%p ends with %d", async (args, code, message) => {
    const { exitCode, stderr } = await run("explain", ...args);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(code);
  });
});
