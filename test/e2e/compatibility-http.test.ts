import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Peer, startNodeExporter } from "../equipment/node-exporter.ts";
import { type RunningDaemon, startDaemon } from "../harness/daemon.ts";
import { lacks } from "../harness/requirements.ts";
import { createWorkspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

const noPeer = await lacks("prometheus-node-exporter");

/** Families that a page has or lacks for other reasons than the request. */
const aboutTheExporter = /^(go_|process_|promhttp_|aami_|node_exporter_build_info|node_scrape_collector_)/;

const familiesOf = (page: string): string[] =>
  [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name).filter((name) => !aboutTheExporter.test(name));

describe.skipIf(noPeer)("beside Debian's node_exporter", () => {
  const stack = new AsyncDisposableStack();
  let theirs: Peer;
  let ours: RunningDaemon;
  beforeAll(async () => {
    const workspace = createWorkspace();
    stack.use(workspace);
    theirs = await startNodeExporter(["--no-collector.wifi"]);
    stack.use(theirs);
    ours = await startDaemon({ workspace, flags: ["--no-collector.wifi"] });
    stack.use(ours);
  });
  afterAll(() => stack.disposeAsync());

  /** Compared whole: status, body, type. */
  test.each([
    ["an unknown collector", "/metrics?collect[]=nonsense"],
    ["a collector that is switched off", "/metrics?collect[]=wifi"],
    ["a collector without a name", "/metrics?collect[]="],
    ["two of them", "/metrics?collect[]=cpu&collect[]=nonsense"],
    ["an escaped name", "/metrics?collect%5B%5D=nonsense"],
  ])("%s is refused in the same words", async (_what, path) => {
    const [a, b] = await Promise.all([ours.get(path), theirs.get(path)]);
    expect([a.status, await a.text(), a.headers.get("content-type")]).toEqual([
      b.status,
      await b.text(),
      b.headers.get("content-type"),
    ]);
    expect(a.status).toBe(400);
  });

  test.each([
    ["/metrics?collect[]=loadavg", "GET"],
    ["/metrics?collect%5B%5D=loadavg&collect[]=meminfo", "GET"],
    ["/metrics?foo=bar", "GET"],
    ["/metrics", "POST"],
    ["/metrics", "PUT"],
    ["/metrics", "DELETE"],
    ["//metrics", "GET"],
  ])("%s by %s answers with the same choice of families", async (path, method) => {
    const [a, b] = await Promise.all([ours.get(path, { method }), theirs.get(path, { method })]);
    expect([a.status, b.status]).toEqual([200, 200]);
    const [mine, other] = [familiesOf(await a.text()), familiesOf(await b.text())];
    expect(mine.includes("node_load1")).toBe(other.includes("node_load1"));
    expect(mine.includes("node_memory_MemTotal_bytes")).toBe(other.includes("node_memory_MemTotal_bytes"));
    expect(mine.length < 20).toBe(other.length < 20 && other.length > 0);
  });

  test.each([
    ["HEAD", "/metrics"],
    ["HEAD", "/"],
  ])("%s %s answers 200 without a body", async (method, path) => {
    for (const side of [ours, theirs]) {
      const response = await side.get(path, { method });
      expect([response.status, await response.text()]).toEqual([200, ""]);
    }
  });

  test.each([
    ["gzip", "gzip"],
    ["gzip, deflate, br", "gzip"],
    ["br, zstd", null],
    ["identity", null],
  ])("Accept-Encoding: %s", async (accepted, encoding) => {
    for (const side of [ours, theirs]) {
      const response = await side.get("/metrics", { headers: { "accept-encoding": accepted }, decompress: false });
      expect(response.headers.get("content-encoding")).toBe(encoding);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const text = new TextDecoder().decode(encoding === "gzip" ? Bun.gunzipSync(bytes) : bytes);
      expect(text).toContain("# TYPE node_load1 gauge");
    }
  });

  test("OpenMetrics is not offered: the text format is", async () => {
    const headers = { accept: "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5" };
    for (const side of [ours, theirs]) {
      const response = await side.get("/metrics", { headers });
      expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4; charset=utf-8");
      expect(await response.text()).not.toContain("# EOF");
    }
  });

  test("the series of this machine are node_exporter's, and its exporter metrics that dashboards use are there", async () => {
    const [mine, other] = await Promise.all([ours.page(), theirs.get("/metrics").then((response) => response.text())]);
    const missing = familiesOf(other).filter((family) => !familiesOf(mine).includes(family));
    expect(missing).toEqual([]);
    for (const name of ["process_cpu_seconds_total", "process_open_fds", "process_max_fds"])
      expect(mine).toContain(name);
    for (const name of ["process_virtual_memory_bytes", "process_resident_memory_bytes"]) expect(mine).toContain(name);
    for (const code of [200, 500, 503]) {
      expect(mine).toContain(`promhttp_metric_handler_requests_total{code="${code}"}`);
    }
    expect(mine).not.toContain("\ngo_");
  });
});

// 1.5.0 has none of these, or answers every path with its front page; the words are those of 1.9.0 and later.
test("what the peer is too old for", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  const both = await daemon.get("/metrics?collect[]=cpu&exclude[]=loadavg");
  expect([both.status, await both.text()]).toEqual([400, "Combined collect and exclude queries are not allowed."]);
  const fewer = familiesOf(await daemon.page("/metrics?exclude[]=loadavg&exclude[]=nonsense&collect"));
  expect([fewer.includes("node_load1"), fewer.includes("node_memory_MemTotal_bytes")]).toEqual([false, true]);
  const unknown = await daemon.get("/nonsense");
  expect([unknown.status, await unknown.text()]).toEqual([404, "404 page not found\n"]);
  const names = { accept: "text/plain;version=0.0.4;escaping=allow-utf-8" };
  const types = [await daemon.get("/metrics"), await daemon.get("/metrics", { headers: names })];
  expect(types.map(({ headers }) => headers.get("content-type"))).toEqual([
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
  ]);
});

test("with another telemetry path the front page leads there; with / it is gone", async () => {
  using workspace = createWorkspace();
  {
    await using daemon = await startDaemon({ workspace, flags: ["--web.telemetry-path=/node/metrics"] });
    expect(await daemon.page("/")).toContain('href="/node/metrics"');
    expect(await daemon.page("/node/metrics")).toContain("node_load1");
    expect((await daemon.get("/metrics")).status).toBe(404);
  }
  await using daemon = await startDaemon({ workspace, flags: ["--web.telemetry-path=/"] });
  expect(await daemon.page("/")).toContain("node_load1");
});

test("without exporter metrics", async () => {
  using workspace = createWorkspace();
  await using daemon = await startDaemon({ workspace, flags: ["--web.disable-exporter-metrics"] });
  expect(await daemon.page()).not.toMatch(/^(process|promhttp)_/m);
});
