import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { startNodeExporter } from "../equipment/node-exporter.ts";
import { startDaemon, waitForPage } from "../harness/daemon.ts";
import { promtoolComplaints } from "../harness/prometheus.ts";
import { lacks } from "../harness/requirements.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

/** Families that every dashboard of a Linux machine starts with. */
const expectedFamilies = [
  ...["node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_load1", "node_boot_time_seconds"],
  ...["node_disk_io_time_seconds_total", "node_filesystem_size_bytes", "node_network_receive_bytes_total"],
  ...["node_network_up", "node_netstat_Tcp_CurrEstab", "node_sockstat_TCP_inuse", "node_vmstat_pgfault"],
  ...["node_filefd_allocated", "node_uname_info", "node_os_info", "node_time_seconds"],
  ...["process_cpu_seconds_total", "process_resident_memory_bytes", "node_exporter_build_info"],
  ...["node_scrape_collector_duration_seconds", "node_scrape_collector_success", "node_textfile_scrape_error"],
];

/** Upstream's names as well, but of a later release than Debian's. */
const laterFamilies = ["node_netstat_TcpExt_TCPOFOQueue", "node_netstat_TcpExt_TCPRcvQDrop"];

const typeLines = (page: string): string[] => page.split("\n").filter((line) => line.startsWith("# TYPE "));
const families = (page: string): string[] => typeLines(page).map((line) => line.split(" ")[2] ?? "");

test("one program without server or registration serves the page of this machine", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  const response = await daemon.get("/metrics");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  const names = families(await response.text());
  expect(names.length).toBe(new Set(names).size);
  // The first page waits for mounts a moment only.
  await waitForPage(
    daemon,
    expectedFamilies.map((name) => `\n# TYPE ${name} `),
  );
});

test("the page is compressed when the scraper takes gzip", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  const response = await daemon.get("/metrics", { headers: { "accept-encoding": "gzip" }, decompress: false });
  expect(response.headers.get("content-encoding")).toBe("gzip");
  const text = new TextDecoder().decode(Bun.gunzipSync(await response.arrayBuffer()));
  expect(text).toContain("node_cpu_seconds_total");
});

test.each([
  ["collect[]=loadavg", ["node_load1"], ["node_cpu_seconds_total", "node_memory_MemTotal_bytes"]],
  ["collect[]=loadavg&collect[]=meminfo", ["node_load1", "node_memory_MemTotal_bytes"], ["node_cpu_seconds_total"]],
  ["exclude[]=loadavg", ["node_cpu_seconds_total"], ["node_load1"]],
])("%s chooses collectors for one scrape", async (query, present, absent) => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  const names = families(await daemon.page(`/metrics?${query}`));
  expect(present.filter((name) => !names.includes(name))).toEqual([]);
  expect(absent.filter((name) => names.includes(name))).toEqual([]);
});

test("collect[] and exclude[] together, or an unknown collector, is a bad request", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  expect((await daemon.get("/metrics?collect[]=loadavg&exclude[]=cpu")).status).toBe(400);
  const unknown = await daemon.get("/metrics?collect[]=nonsense");
  expect(unknown.status).toBe(400);
  expect(await unknown.text()).toContain("nonsense");
});

test("health endpoints answer, the front page leads to the metrics", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  for (const path of ["/healthz", "/readyz", "/-/healthy"]) expect((await daemon.get(path)).status).toBe(200);
  expect(await daemon.page("/")).toContain('href="/metrics"');
  expect((await daemon.get("/nonsense")).status).toBe(404);
});

test("SIGHUP takes a good file and keeps the running configuration when the file is bad", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace, expectedErrors: [/configuration cannot be used/] });
  const file = workspace.file("daemon.yaml");
  const good = JSON.parse(await Bun.file(file).text()) as Record<string, unknown>;
  await Bun.write(file, JSON.stringify({ ...good, collectors: { loadavg: { enabled: false } } }));
  daemon.process.kill("SIGHUP");
  await waitFor("the page without load averages", async () => !(await daemon.page()).includes("node_load1 "));

  await Bun.write(file, "collectors:\n  loadavg:\n    enabeld: true\n");
  daemon.process.kill("SIGHUP");
  const line = await daemon.process.waitForLine(/"level":"(error|warn)".*daemon\.yaml:3:5/);
  expect(line).toContain("enabeld");
  expect((await daemon.get("/-/reload", { method: "POST" })).status).toBeGreaterThanOrEqual(400);
  expect(await daemon.page()).not.toContain("node_load1 ");
});

test("SIGTERM ends the daemon and its children, with status 0", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  await daemon.page();
  const children = childrenOf(daemon.process.pid);
  expect(children.length).toBeGreaterThan(0);
  expect(await daemon.process.stop()).toEqual({ exitCode: 0, signal: null });
  await waitFor("the child processes to end", () => children.every((pid) => !existsSync(`/proc/${pid}`)));
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").map(Number).filter(Boolean);
}

test.skipIf(await lacks("promtool", "prometheus-node-exporter"))(
  "promtool has nothing to say that it does not say of node_exporter",
  async () => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace });
    await using nodeExporter = await startNodeExporter();
    const theirs = await promtoolComplaints(await (await nodeExporter.get("/metrics")).text());
    const ours = await promtoolComplaints(await daemon.page());
    const isNew = (complaint: string): boolean =>
      !theirs.includes(complaint) && !laterFamilies.some((name) => complaint.startsWith(`${name} `));
    expect(ours.filter(isNew)).toEqual([]);
  },
);
