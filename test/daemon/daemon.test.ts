import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StatusView } from "../../daemon/status/view.ts";
import { selfCommand } from "../../runtime/self.ts";
import { waitFor } from "../harness/wait.ts";
import { type RunningDaemon, startDaemonProcess } from "./running-daemon.ts";
import { sharedFolder } from "../harness/workspace.ts";

const folder = sharedFolder();

describe("the HTTP surface", () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await startDaemonProcess("--no-collector.filefd");
  });
  afterAll(() => daemon[Symbol.asyncDispose]());

  test("the page is text, sorted, and holds what every exporter's page holds", async () => {
    const response = await daemon.get("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    const page = await response.text();
    const families = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(families).toEqual(families.toSorted());
    expect(new Set(families).size).toBe(families.length);
    for (const name of ["node_load1", "process_cpu_seconds_total", "node_exporter_build_info", "aami_build_info"]) {
      expect(families).toContain(name);
    }
    expect(page).toContain('node_scrape_collector_success{collector="loadavg"} 1\n');
    expect(page).toContain('aami_collector_state{collector="loadavg",state="ok"} 1\n');
    expect(page).toContain('aami_collector_state{collector="loadavg",state="timeout"} 0\n');
    expect(page).toContain('aami_scrape_series{collector="loadavg"} 3\n');
    expect(page).toContain('promhttp_metric_handler_requests_total{code="503"} 0\n');
    expect(page).toEndWith("\n");
  });

  test.each([
    ["GET", "/metrics", 200, "# HELP"],
    ["POST", "/metrics", 200, "# HELP"],
    ["DELETE", "/metrics?collect[]=loadavg", 200, "node_load1"],
    ["GET", "/", 200, "AAMI node daemon"],
    ["GET", "/healthz", 200, "healthy"],
    ["GET", "/health", 200, "healthy"],
    ["GET", "/-/healthy", 200, "healthy"],
    ["GET", "/readyz", 200, "ready"],
    ["GET", "/-/ready", 200, "ready"],
    ["GET", "/-/reload", 405, "Only POST or PUT requests allowed"],
    ["GET", "/nonsense", 404, "404 page not found"],
    ["GET", "/metrics/", 404, "404 page not found"],
    ["GET", "/metrics?collect[]=loadavg&exclude[]=time", 400, "Combined collect and exclude queries are not allowed."],
    [
      "GET",
      "/metrics?collect[]=nonsense",
      400,
      "Couldn't create filtered metrics handler: couldn't create collector: missing collector: nonsense",
    ],
    [
      "GET",
      "/metrics?collect[]=filefd",
      400,
      "Couldn't create filtered metrics handler: couldn't create collector: disabled collector: filefd",
    ],
  ])("%s %s answers %d", async (method, path, status, text) => {
    const response = await daemon.get(path, { method });
    expect(await response.text()).toContain(text);
    expect(response.status).toBe(status);
  });

  test("HEAD has the headers and no body", async () => {
    const response = await daemon.get("/metrics", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  test.each([
    ["gzip", "gzip"],
    ["deflate, gzip;q=0.5", "gzip"],
    ["identity", null],
    ["gzip;q=0", null],
    ["br", null],
  ])("Accept-Encoding %s is answered with %p", async (accepted, encoding) => {
    const response = await daemon.get("/metrics", { headers: { "accept-encoding": accepted } });
    expect(response.headers.get("content-encoding")).toBe(encoding);
    expect(await response.text()).toContain("node_load1 ");
  });

  test.each([
    ["collect[]=loadavg", ["loadavg"]],
    ["collect[]=loadavg&collect[]=time", ["loadavg", "time"]],
    ["collect%5B%5D=time", ["time"]],
  ])("?%s asks those collectors only", async (query, collectors) => {
    const page = await daemon.page(`/metrics?${query}`);
    const asked = [...page.matchAll(/^node_scrape_collector_success\{collector="(\w+)"\} 1$/gm)].map(
      ([, name]) => name,
    );
    expect(asked).toEqual(collectors);
    expect(page).toContain("process_open_fds");
    expect(page).toContain("node_exporter_build_info");
  });

  test("?exclude[] leaves those out and takes unknown names", async () => {
    const page = await daemon.page("/metrics?exclude[]=loadavg&exclude[]=nonsense");
    expect(page).not.toContain("node_load1");
    expect(page).toContain('node_scrape_collector_success{collector="time"} 1');
  });

  test("60 scrapers at once all get the whole page", async () => {
    const pages = await Promise.all(Array.from({ length: 60 }, () => daemon.page()));
    expect(pages.filter((page) => page.includes("node_load1 ")).length).toBe(60);
    expect(pages.every((page) => !page.includes('state="timeout"} 1'))).toBe(true);
  });

  test("status tells the state of every collector", async () => {
    await daemon.page();
    const status = (await (await daemon.get("/api/v1/status")).json()) as Record<string, unknown>;
    expect(status).toMatchObject({ ready: true, stuck: [], collectors: { loadavg: { state: "ok", series: 3 } } });
  });
});

describe("the life of the daemon", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with 0 and leaves no process behind", async (signal) => {
    await using daemon = await startDaemonProcess();
    await daemon.page();
    const children = childrenOf(daemon.pid);
    expect(children.length).toBeGreaterThan(0);
    daemon.signal(signal);
    expect(await daemon.exited).toBe(0);
    await gone(children);
  });

  test.each(["SIGUSR1", "SIGUSR2", "SIGALRM"] as const)(
    "%s means nothing to it, as to node_exporter",
    async (signal) => {
      await using daemon = await startDaemonProcess();
      daemon.signal(signal);
      expect(await daemon.page()).toContain("node_load1 ");
      daemon.signal("SIGTERM");
      expect(await daemon.exited).toBe(0);
    },
  );

  test("SIGKILL leaves no process behind either", async () => {
    await using daemon = await startDaemonProcess();
    await daemon.page();
    const children = childrenOf(daemon.pid);
    daemon.signal("SIGKILL");
    await daemon.exited;
    await gone(children);
  });

  test("a reload takes over a good file and keeps the old one over a bad file", async () => {
    const file = join(folder, "reload.yaml");
    writeFileSync(file, "collectors: { loadavg: { enabled: false } }\n");
    await using daemon = await startDaemonProcess(`--config=${file}`);
    expect(await daemon.page()).not.toContain("node_load1");
    writeFileSync(file, "collectors: { loadavg: { enabled: true } }\n");
    expect((await daemon.get("/-/reload", { method: "POST" })).status).toBe(200);
    expect(await daemon.page()).toContain("node_load1");
    writeFileSync(file, "collectors: { loadagv: { enabled: false } }\n");
    const refused = await daemon.get("/-/reload", { method: "PUT" });
    expect(refused.status).toBe(500);
    expect(await refused.text()).toContain(
      `${file}:1:15: unknown key "loadagv" in collectors; did you mean "loadavg"?`,
    );
    const page = await daemon.page();
    expect(page).toContain("node_load1");
    expect(page).toContain("aami_config_last_reload_successful 0\n");
  });

  test("what waits for a restart is in the answer, in the status and on the page until it is taken back", async () => {
    const file = join(folder, "restart.yaml");
    writeFileSync(file, "");
    await using daemon = await startDaemonProcess(`--config=${file}`);
    const reload = async () => (await daemon.get("/-/reload", { method: "POST" })).text();
    const told = async () => ((await (await daemon.get("/api/v1/status")).json()) as StatusView).configuration;
    expect(await told()).toBeUndefined();
    writeFileSync(file, "checks: { concurrency: 4 }\nlog: { level: error }\n");
    const reason = "a restart is needed for checks.concurrency, log";
    expect(await reload()).toBe(`configuration reloaded in part: ${reason}\n`);
    // Twice the same is not in force after the second time.
    expect(await reload()).toBe(`configuration reloaded in part: ${reason}\n`);
    const { not_in_force_since: since = "", reason: shown } = (await told()) ?? {};
    expect(shown).toBe(reason);
    expect(await daemon.page("/")).toMatch(
      new RegExp(`not all of the configuration file is in force, since [^:]+:\\d\\d:\\d\\d UTC: ${reason}`),
    );
    writeFileSync(file, "chekcs: {}\n");
    expect(await reload()).toContain(`unknown key "chekcs"`);
    expect(await told()).toEqual({ not_in_force_since: since, reason: expect.stringContaining(`"chekcs"`) });
    writeFileSync(file, "");
    expect(await reload()).toBe("configuration reloaded\n");
    expect(await told()).toBeUndefined();
  });

  test("a reload puts other parameters of builtin checks in force, without some, without all, and back", async () => {
    const file = join(folder, "checks.yaml");
    const builtin = (settings: string): string => `checks: { builtin: { ${settings} } }\n`;
    writeFileSync(file, builtin("file_handles: { limit: 1, interval_seconds: 5 }"));
    await using daemon = await startDaemonProcess(`--config=${file}`);
    const statusOf = async (name: string): Promise<string | undefined> => {
      const { checks } = (await (await daemon.get("/api/v1/status")).json()) as StatusView;
      return checks.checks.find((check) => check.name === name)?.status;
    };
    const reloadWith = async (text: string): Promise<void> => {
      writeFileSync(file, text);
      expect(await (await daemon.get("/-/reload", { method: "POST" })).text()).toBe("configuration reloaded\n");
    };
    await waitFor("one handle to be too many", async () => (await statusOf("file_handles")) === "critical");
    await reloadWith(builtin("zombies: { enabled: false }"));
    await waitFor("file_handles to be judged anew", async () => (await statusOf("file_handles")) === "ok");
    expect(await statusOf("zombies")).toBeUndefined();
    await reloadWith("checks: { enabled: false }\n");
    expect(await statusOf("file_handles")).toBeUndefined();
    expect(await daemon.page()).not.toContain("aami_check_status");
    await reloadWith("");
    await waitFor("zombies to be judged", async () => (await statusOf("zombies")) === "ok");
  }, 180_000);

  test("SIGHUP reads the configuration again", async () => {
    const file = join(folder, "hup.yaml");
    writeFileSync(file, "");
    await using daemon = await startDaemonProcess(`--config=${file}`);
    writeFileSync(file, "web: nonsense\n");
    daemon.signal("SIGHUP");
    await daemon.logged("configuration cannot be used, the one before stays in force");
    expect(await daemon.page()).toContain("aami_config_last_reload_successful 0\n");
  });

  test("a configuration file that hangs stops neither pages nor the end, and leaves no process behind", async () => {
    const file = join(folder, "hangs.yaml");
    writeFileSync(file, "");
    await using daemon = await startDaemonProcess(`--config=${file}`);
    rmSync(file);
    Bun.spawnSync(["mkfifo", file]);
    daemon.signal("SIGHUP");
    const children = await waitFor("the process that reads the file", () => {
      const now = childrenOf(daemon.pid);
      return now.some((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("configuration")) && now;
    });
    expect(await daemon.page()).toContain("node_load1");
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toBe(0);
    await gone(children);
  });

  test.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)(
    "%s while a configuration file hangs the start leaves no process behind",
    async (signal) => {
      const file = join(folder, `hangs-at-${signal}.yaml`);
      Bun.spawnSync(["mkfifo", file]);
      const daemon = Bun.spawn(selfCommand("daemon", `--config=${file}`));
      const reader = await waitFor("the process that reads the file", () => childThatOpensFifo(daemon.pid));
      // Ignored: nothing is to be reloaded yet.
      daemon.kill("SIGHUP");
      daemon.kill(signal);
      await daemon.exited;
      expect(daemon.signalCode).toBe(signal);
      await gone([reader]);
    },
  );

  test("a port in use is one line that names who has it, and exit code 1", async () => {
    using holder = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
    const address = `127.0.0.1:${holder.port}`;
    const { exitCode, stderr } = Bun.spawnSync(selfCommand("daemon", `--web.listen-address=${address}`));
    const complaint = stderr
      .toString()
      .split("\n")
      .filter((line) => line.startsWith("aami:"));
    const ownName = readFileSync("/proc/self/comm", "utf8").trim();
    expect(complaint).toEqual([
      `aami: cannot listen on ${address}: the port is in use by ${ownName} (pid ${process.pid})`,
    ]);
    expect(exitCode).toBe(1);
  });

  test.each([
    [["--web.listen-address=nonsense"], 1, 'listen address "nonsense": expected host:port'],
    [["--web.listen-address=vsock://x:9100"], 1, "expected vsock://:port or vsock://cid:port"],
    [["--web.systemd-socket"], 1, "--web.systemd-socket: no socket activation file descriptors found"],
    [["--web.config.file=/nonexistent/web.yml"], 1, "/nonexistent/web.yml: cannot be read: ENOENT"],
    [["--collector.netdev.device-exclude=("], 2, "missing closing )"],
  ])("%j ends with its code", (args, code, message) => {
    const { exitCode, stderr } = Bun.spawnSync(selfCommand("daemon", "--web.listen-address=127.0.0.1:0", ...args));
    expect(stderr.toString()).toContain(message);
    expect(exitCode).toBe(code);
  });
});

function childrenOf(pid: number): number[] {
  const { stdout } = Bun.spawnSync(["cat", `/proc/${pid}/task/${pid}/children`]);
  return stdout.toString().trim().split(/\s+/).filter(Boolean).map(Number);
}

/** A process that waits in open(2) of a FIFO has begun to read. */
function childThatOpensFifo(pid: number): number | undefined {
  return childrenOf(pid).find((child) => readFileSync(`/proc/${child}/wchan`, "utf8") === "wait_for_partner");
}

async function gone(pids: readonly number[]): Promise<void> {
  const isAlive = (pid: number): boolean =>
    Bun.spawnSync(["kill", "-0", String(pid)], { stderr: "ignore" }).exitCode === 0;
  await waitFor("the end of the daemon's children", () => !pids.some(isAlive));
}
