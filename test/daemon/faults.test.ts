import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { compareScrapes } from "../equipment/scrape-watch.ts";
import { waitFor } from "../harness/wait.ts";
import { sharedFolder } from "../harness/workspace.ts";
import { startDaemonProcess } from "./running-daemon.ts";

const root = sharedFolder();

/** The state of one collector on a page. */
function stateOf(page: string, collector: string): string | undefined {
  return new RegExp(`^aami_collector_state\\{collector="${collector}",state="(\\w+)"\\} 1$`, "m").exec(page)?.[1];
}

/** Flags for a daemon that gives a collector up after this long, on this /proc. */
function flagsFor(proc: string, collectorTimeoutSeconds: number): string[] {
  const config = join(dirname(proc), "daemon.yaml");
  writeFileSync(config, `scrape: { collector_timeout_seconds: ${collectorTimeoutSeconds} }\n`);
  return [`--config=${config}`, `--path.procfs=${proc}`, ...some];
}

/** A /proc of ordinary files with a few collectors' sources, one of which may be a FIFO that nobody writes. */
function makeProc(hanging?: string): string {
  const proc = join(mkdtempSync(join(root, "proc-")), "proc");
  const files: Record<string, string> = {
    loadavg: "0.10 0.20 0.30 1/100 1234\n",
    "sys/fs/file-nr": "1024\t0\t65536\n",
    "sys/kernel/random/entropy_avail": "256\n",
    "sys/kernel/random/poolsize": "256\n",
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(proc, name)), { recursive: true });
    writeFileSync(join(proc, name), content);
  }
  if (hanging === undefined) return proc;
  rmSync(join(proc, hanging), { force: true });
  expect(Bun.spawnSync(["mkfifo", join(proc, hanging)]).exitCode).toBe(0);
  return proc;
}

const some = ["--collector.disable-defaults", "--collector.loadavg", "--collector.filefd", "--collector.entropy"];

describe("a source that does not answer", () => {
  test("costs its own series, once one slow page, and is named", async () => {
    const proc = makeProc("loadavg");
    // The others are read by a second process, which a busy machine takes its time to start.
    await using daemon = await startDaemonProcess(...flagsFor(proc, 5));
    const first = await daemon.page();
    expect(stateOf(first, "loadavg")).toBe("timeout");
    expect(first).toContain('node_scrape_collector_success{collector="loadavg"} 0\n');
    expect(first).not.toContain("node_load1 ");
    for (const collector of ["filefd", "entropy"]) expect(stateOf(first, collector)).toBe("ok");
    expect(first).toContain("node_filefd_allocated 1024\n");
    expect(first).toMatch(/^aami_collector_processes\{state="running"\} [1-9]$/m);
    expect((await daemon.logged("collector does not answer")).collector).toBe("loadavg");

    await using healthy = await startDaemonProcess(`--path.procfs=${makeProc()}`, ...some);
    expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
    expect(stateOf(await daemon.page(), "loadavg")).toBe("timeout");
    expect(daemon.lines.filter(({ msg }) => msg === "collector does not answer")).toHaveLength(1);

    // The FIFO becomes a file: a try in the background finds out.
    rmSync(join(proc, "loadavg"));
    cpSync("/proc/loadavg", join(proc, "loadavg"));
    const page = await waitFor("the load average", async () => {
      const text = await daemon.page();
      return stateOf(text, "loadavg") === "ok" && text;
    });
    expect(page).toContain("node_load1 ");
    await daemon.logged("collector works again");
  }, 180_000);

  test("the announced timeout of the scraper is kept", async () => {
    const proc = makeProc("loadavg");
    await using daemon = await startDaemonProcess(...flagsFor(proc, 60));
    const startedAt = performance.now();
    const headers = { "x-prometheus-scrape-timeout-seconds": "4" };
    const page = await (await daemon.get("/metrics", { headers })).text();
    // Not after the minute that a collector has.
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    expect(stateOf(page, "loadavg")).toBe("timeout");
    expect(stateOf(page, "filefd")).toBe("ok");
  });

  test("has the time that it had when the page was begun, whatever a reload gives others", async () => {
    const proc = makeProc("loadavg");
    await using daemon = await startDaemonProcess(...flagsFor(proc, 60), "--web.enable-lifecycle");
    let hasEnded = false;
    const page = daemon.page().finally(() => (hasEnded = true));
    await waitFor("the page to be begun", async () => {
      const text = await daemon.page("/metrics?collect[]=filefd");
      return text.includes("promhttp_metric_handler_requests_in_flight 2\n");
    });
    flagsFor(proc, 1);
    expect((await daemon.get("/-/reload", { method: "POST" })).status).toBe(200);
    for (const _ of [1, 2]) expect(stateOf(await daemon.page(), "loadavg")).toBe("timeout");
    expect(hasEnded).toBe(false);
    daemon.signal("SIGKILL");
    await page.catch(() => {});
  });

  test("does not keep the daemon from ending", async () => {
    const proc = makeProc("loadavg");
    await using daemon = await startDaemonProcess(...flagsFor(proc, 60));
    const page = daemon.page().catch(() => "cut off");
    // The first page is under way once the collector process has begun to run.
    await daemon.get("/api/v1/status");
    const startedAt = performance.now();
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    await page;
  });

  test("more collections than allowed are refused, sharers are not", async () => {
    const proc = makeProc("loadavg");
    await using daemon = await startDaemonProcess(`--path.procfs=${proc}`, "--web.max-requests=1", ...some);
    const waiting = daemon.page();
    const sharing = daemon.page();
    const deadline = performance.now() + 4000;
    let refused = await daemon.get("/metrics?collect[]=filefd");
    while (refused.status !== 503 && performance.now() < deadline)
      refused = await daemon.get("/metrics?collect[]=filefd");
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("Limit of concurrent requests reached (1), try again later.");
    for (const page of [await waiting, await sharing]) expect(stateOf(page, "filefd")).toBe("ok");
  }, 180_000);
});

describe("clients", () => {
  test("readers that take a byte at a time do not hold up the others, nor memory", async () => {
    await using daemon = await startDaemonProcess();
    const { hostname, port } = new URL(daemon.url);
    const residentBytes = async (): Promise<number> =>
      Number(/^process_resident_memory_bytes (\S+)$/m.exec(await daemon.page())?.[1]);
    for (let index = 0; index < 30; index++) await daemon.page();
    const before = await residentBytes();
    const slow = Array.from({ length: 60 }, () => {
      const socket = connect({ host: hostname, port: Number(port) }, () =>
        socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
      );
      socket.on("error", () => {}); // the daemon cuts them off at its end
      socket.on("data", () => socket.pause());
      return socket;
    });
    for (let index = 0; index < 30; index++) expect(stateOf(await daemon.page(), "loadavg")).toBe("ok");
    await waitFor("the memory of before", async () => (await residentBytes()) - before < 60 * 1024 * 1024);
    for (const socket of slow) socket.destroy();
  });

  test("a request body is refused beyond what could be meant", async () => {
    await using daemon = await startDaemonProcess();
    const response = await daemon.get("/metrics", { method: "POST", body: "x".repeat(1_000_000) });
    expect(response.status).toBe(413);
  });
});

describe("textfile", () => {
  test("a family with a name that is taken is left out and flagged", async () => {
    const folder = mkdtempSync(join(root, "textfile-"));
    writeFileSync(join(folder, "bad.prom"), "node_load1 666\nmine 1\n");
    await using daemon = await startDaemonProcess(`--collector.textfile.directory=${folder}`);
    const page = await daemon.page();
    expect(page).not.toContain("node_load1 666");
    expect(page).toContain("node_textfile_scrape_error 1\n");
    expect(page).toContain("mine 1\n");
    expect(await daemon.logged("text files have metrics with names that are taken, they are left out")).toMatchObject({
      families: ["node_load1"],
    });
  });

  test("100,000 lines are served whole", async () => {
    const folder = mkdtempSync(join(root, "textfile-"));
    const lines = Array.from({ length: 100_000 }, (_, index) => `big{n="${index}"} ${index}\n`);
    writeFileSync(join(folder, "big.prom"), lines.join(""));
    const config = join(folder, "daemon.yaml");
    writeFileSync(config, "scrape: { collector_timeout_seconds: 60 }\n");
    await using daemon = await startDaemonProcess(`--config=${config}`, `--collector.textfile.directory=${folder}`);
    const page = await daemon.page();
    expect(page.match(/^big\{/gm)?.length).toBe(100_000);
    expect(stateOf(page, "loadavg")).toBe("ok");
  }, 180_000);
});
