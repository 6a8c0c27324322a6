import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { countConnections, countMost, waitForNoMoreThan } from "../equipment/process-tree.ts";
import { createRecordedHost, type RecordedHost } from "../equipment/recorded-host.ts";
import { compareScrapes, quickest, timeScrape } from "../equipment/scrape-watch.ts";
import { type RunningDaemon, seriesValue, startDaemon } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

/** A client of which only the bytes are under control. */
interface RawClient extends Disposable {
  readonly socket: Socket;
  /** What came so far. */
  text(): string;
  readonly closed: Promise<void>;
}

async function openClient({ port }: RunningDaemon): Promise<RawClient> {
  const socket = connect({ port, host: "127.0.0.1" });
  let text = "";
  const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
  socket.on("data", (chunk) => void (text += chunk.toString()));
  // A reset is an end like any other here.
  socket.on("error", () => {});
  await new Promise<void>((resolve) => void socket.once("connect", () => resolve()));
  return { socket, text: () => text, closed, [Symbol.dispose]: () => void socket.destroy() };
}

async function openClients(daemon: RunningDaemon, count: number): Promise<RawClient[] & Disposable> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(daemon)));
  return Object.assign(clients, {
    [Symbol.dispose]: () => {
      for (const { socket } of clients) socket.destroy();
    },
  });
}

const request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";

interface Pair extends AsyncDisposable {
  readonly bothered: RunningDaemon;
  readonly quiet: RunningDaemon;
}

async function startPair(workspace: Workspace, config: Record<string, unknown> = {}): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const other = createWorkspace();
  stack.use(other);
  const bothered = await startDaemon({ workspace, config });
  stack.use(bothered);
  const quiet = await startDaemon({ workspace: other, config });
  stack.use(quiet);
  const kept = stack.move();
  return { bothered, quiet, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Its load average never comes, which keeps every collection open until its deadline. */
function createHangingHost(workspace: Workspace): RecordedHost {
  const host = createRecordedHost(workspace);
  Bun.spawnSync(["rm", host.file("proc/loadavg")]);
  Bun.spawnSync(["mkfifo", host.file("proc/loadavg")]);
  return host;
}

describe("many scrapers", () => {
  test("60 at once are all answered with one page, from one collection", async () => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace, flags: createHangingHost(workspace).flags });
    const responses = await Promise.all(Array.from({ length: 60 }, () => daemon.get("/metrics")));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 60 }, () => 200));
    const pages = await Promise.all(responses.map((response) => response.text()));
    expect(Math.min(...pages.map(({ length }) => length))).toBeGreaterThan(10_000);
    // Whoever came before the page was made shares it, its clock to the nanosecond.
    const different = new Set(pages.map((page) => seriesValue(page, "node_time_seconds")));
    expect(different.size).toBeLessThan(10);
  });

  test("beyond max-requests different collections are refused with 503, scrapes of the same are not", async () => {
    using workspace = createWorkspace();
    const { flags } = createHangingHost(workspace);
    await using daemon = await startDaemon({ workspace, flags: [...flags, "--web.max-requests=3"] });
    const scrapes = ["", "?collect[]=loadavg&collect[]=cpu", "?collect[]=loadavg&collect[]=stat"].flatMap((query) =>
      Array.from({ length: 10 }, () => daemon.get(`/metrics${query}`)),
    );
    const refused = await waitFor("a refusal", async () => {
      const response = await daemon.get("/metrics?collect[]=loadavg&collect[]=meminfo");
      return response.status === 503 && response;
    });
    expect(await refused.text()).toBe("Limit of concurrent requests reached (3), try again later.\n");
    expect(refused.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const statuses = (await Promise.all(scrapes)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const page = await daemon.page();
    expect(seriesValue(page, 'promhttp_metric_handler_requests_total{code="503"}')).toBeGreaterThan(0);
  });
});

describe("clients that are slow or gone", () => {
  test.each([1, 50])("%d that read one byte a second do not delay the others", async (count) => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace);
    const { bothered, quiet } = pair;
    await bothered.page();
    using clients = await openClients(bothered, count);
    for (const { socket } of clients) {
      socket.write(`${request}\r\n`);
      socket.pause();
    }
    const reading = setInterval(() => {
      for (const { socket } of clients) socket.read(1);
    }, 1000);
    try {
      expect(await compareScrapes(bothered, quiet)).toBeLessThan(1.2);
    } finally {
      clearInterval(reading);
    }
  });

  test.each([
    ["sends its request a byte at a time", (client: RawClient) => client.socket.write("GE")],
    ["never sends one", () => {}],
    ["never ends its headers", (client: RawClient) => client.socket.write(`${request}X-Slow: 1\r\n`)],
  ])("a client that %s does not delay the others", async (_what, begin) => {
    using workspace = createWorkspace();
    await using pair = await startPair(workspace);
    const { bothered, quiet } = pair;
    using clients = await openClients(bothered, 50);
    for (const client of clients) begin(client);
    expect(await compareScrapes(bothered, quiet)).toBeLessThan(1.2);
  });

  test("a request in pieces is answered when it is whole", async () => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace });
    using client = await openClient(daemon);
    for (const byte of `${request}Connection: close\r\n\r\n`) {
      client.socket.write(byte);
      await Bun.sleep(5);
    }
    await client.closed;
    expect(client.text()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(client.text()).toContain("node_cpu_seconds_total");
  });

  test("clients that stop in the middle of a request are disconnected, and their descriptors are free", async () => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace });
    const held = (): number => countConnections(daemon.process.pid, daemon.port);
    using clients = await openClients(daemon, 20);
    for (const { socket } of clients) socket.write(request);
    await waitFor("the connections", () => held() >= 20);
    const ended = Promise.all(clients.map(({ closed }) => closed));
    // By the server, after its limit for a request.
    await ended;
    await waitFor("free descriptors", () => held() === 0);
  });

  test("an hour of clients that leave in the middle, in seconds: nothing piles up", async () => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace });
    const leave = async (): Promise<void> => {
      using halfOpen = await openClients(daemon, 3);
      halfOpen[0]?.socket.write(`${request}\r\n`);
      halfOpen[1]?.socket.write(request);
      halfOpen[2]?.socket.end();
      await timeScrape(daemon);
    };
    for (let scrape = 0; scrape < 40; scrape++) await leave();
    const early = await countMost(daemon.process.pid, leave);
    for (let scrape = 0; scrape < 240; scrape++) await leave();
    await waitForNoMoreThan(early, daemon.process.pid);
    expect(seriesValue(await daemon.page(), "promhttp_metric_handler_requests_in_flight")).toBe(1);
  });
});

describe("X-Prometheus-Scrape-Timeout-Seconds", () => {
  test.each(["2", "3.5"])("a page announced to be given up after %s s is there before", async (timeout) => {
    const limitMs = Number(timeout) * 1000;
    const first = async (): Promise<number> => {
      using workspace = createWorkspace();
      await using daemon = await startDaemon({ workspace, flags: createHangingHost(workspace).flags });
      const started = performance.now();
      const headers = { "X-Prometheus-Scrape-Timeout-Seconds": timeout };
      const page = await (await daemon.get("/metrics", { headers })).text();
      const elapsedMs = performance.now() - started;
      expect(elapsedMs).toBeGreaterThan(limitMs - 600);
      expect(seriesValue(page, 'aami_collector_state{collector="loadavg",state="timeout"}')).toBe(1);
      return seriesValue(page, "node_memory_MemTotal_bytes") === undefined ? Number.POSITIVE_INFINITY : elapsedMs;
    };
    expect(await quickest(limitMs, first)).toBeLessThan(limitMs);
  });

  test.each(["0", "-1", "soon", "1e9", ""])("%p does not break the page", async (timeout) => {
    using workspace = createWorkspace();
    await using daemon = await startDaemon({ workspace });
    const response = await daemon.get("/metrics", { headers: { "X-Prometheus-Scrape-Timeout-Seconds": timeout } });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("node_cpu_seconds_total");
  });
});
