import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { errnoOf } from "../../collectors/read.ts";
import { ensureBinary } from "../../scripts/binary.ts";
import { createCertificates } from "../daemon/web/certificates.ts";
import {
  bindUdp,
  hasIpv6,
  listenTcp,
  listenUnix,
  type PassedSocket,
  withPassedSockets,
} from "../equipment/passed-socket.ts";
import { hasNotifySocket, openNotifySocket } from "../equipment/notify-socket.ts";
import { writeDaemonConfig } from "../harness/daemon.ts";
import { type RunningProcess, startProcess } from "../harness/process.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(120_000);

interface Activation {
  readonly workspace: Workspace;
  readonly sockets: readonly PassedSocket[];
  readonly flags?: readonly string[];
}

async function activate({ workspace, sockets, flags = [] }: Activation): Promise<RunningProcess> {
  const config = await writeDaemonConfig(workspace);
  const argv = [await ensureBinary(), "daemon", "--config", config, "--web.systemd-socket", ...flags];
  return startProcess(withPassedSockets({ name: "daemon", argv }, sockets));
}

/** Where the daemon says that it listens, in the order of the sockets. */
async function listening(daemon: RunningProcess, count: number): Promise<string[]> {
  const lines = await waitFor("the daemon to listen", () => {
    const found = daemon.lines().filter((line) => line.includes('"msg":"listening"'));
    return found.length === count ? found : undefined;
  });
  return lines.map((line) => String((JSON.parse(line) as { address: unknown }).address));
}

const metrics = async (url: string, init: BunFetchRequestInit = {}): Promise<string> => {
  const response = await fetch(`${url}/metrics?collect[]=loadavg`, init);
  return `${response.status} ${/^node_load1(?= )/m.exec(await response.text())?.[0] ?? ""}`;
};

describe("sockets passed by the service manager", () => {
  test("IPv4, IPv6 and Unix sockets answer, one request after the other", async () => {
    using workspace = createWorkspace();
    const path = workspace.file("aami.sock");
    using ipv4 = listenTcp("127.0.0.1");
    using ipv6 = listenTcp(hasIpv6 ? "::1" : "127.0.0.1");
    using unix = listenUnix(path);
    const sockets = [ipv4, ipv6, unix];
    await using daemon = await activate({ workspace, sockets });
    const urls = [`127.0.0.1:${ipv4.port}`, `${hasIpv6 ? "[::1]" : "127.0.0.1"}:${ipv6.port}`];
    expect(await listening(daemon, 3)).toEqual([...urls, `unix:${path}`]);
    // A socket that blocks would hold the daemon after the first connection.
    for (const _round of [1, 2, 3]) {
      for (const url of urls) expect(await metrics(`http://${url}`)).toBe("200 node_load1");
      expect(await metrics("http://node", { unix: path })).toBe("200 node_load1");
    }
    const healthy = await fetch(`http://${urls[0]}/-/healthy`, { method: "HEAD" });
    expect([healthy.status, healthy.headers.get("content-length")]).toEqual([200, "24"]);
    expect((await fetch(`http://${urls[0]}/nowhere`)).status).toBe(404);
    // It has started itself again with fewer threads and less memory, and still has its sockets.
    expect(readFileSync(`/proc/${daemon.pid}/environ`, "utf8")).toContain("BUN_JSC_useDFGJIT=0\0");
    const inherited = await waitFor("a collector process", () => {
      const files = filesOfChildren(daemon.pid);
      return files.length > 0 && files;
    });
    expect(inherited).not.toContain(readlinkSync(`/proc/self/fd/${ipv4.fd}`));
  });

  test("TLS and passwords on a TCP and a Unix socket", async () => {
    using workspace = createWorkspace();
    using certificates = createCertificates();
    certificates.issue("server", "DNS:localhost,IP:127.0.0.1");
    const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
    const file = `${certificates.folder}/web.yml`;
    const tlsSection = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";
    writeFileSync(file, `${tlsSection}basic_auth_users: { ann: "${hash}" }\n`);
    using tcp = listenTcp("127.0.0.1");
    using unix = listenUnix(workspace.file("aami.sock"));
    await using daemon = await activate({ workspace, sockets: [tcp, unix], flags: [`--web.config.file=${file}`] });
    await listening(daemon, 2);
    const tls = { ca: certificates.read("ca.pem") };
    const headers = { authorization: `Basic ${Buffer.from("ann:secret").toString("base64")}` };
    const ways: readonly [string, BunFetchRequestInit][] = [
      [`https://127.0.0.1:${tcp.port}`, { tls }],
      ["https://localhost", { tls, unix: workspace.file("aami.sock") }],
    ];
    for (const [url, init] of ways) {
      expect(await metrics(url, { ...init, headers })).toBe("200 node_load1");
      expect(await metrics(url, init)).toBe("401 ");
    }
  });

  test("a restart refuses nobody: what comes in between waits for the next daemon", async () => {
    using workspace = createWorkspace();
    using socket = listenTcp("127.0.0.1");
    const url = `http://127.0.0.1:${socket.port}`;
    const first = await activate({ workspace, sockets: [socket] });
    await listening(first, 1);
    expect(await metrics(url)).toBe("200 node_load1");
    expect(await first.stop()).toEqual({ exitCode: 0, signal: null });
    const waiting = await Promise.all([1, 2, 3].map(() => openRequest(socket.port)));
    await using _second = await activate({ workspace, sockets: [socket] });
    for (const { answer } of waiting) expect(await answer).toContain("HTTP/1.1 200 OK");
    expect(await metrics(url)).toBe("200 node_load1");
  });

  test("clients that never pause see no restart", async () => {
    using workspace = createWorkspace();
    using socket = listenTcp("127.0.0.1");
    let restarting = true;
    const outcomes = new Map<string, number>();
    const scrapeOn = async (): Promise<void> => {
      while (restarting) {
        const { answer } = await openRequest(socket.port);
        const outcome = (await answer).split("\r\n", 1)[0] ?? "";
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    let daemon = await activate({ workspace, sockets: [socket] });
    const clients = Array.from({ length: 4 }, scrapeOn);
    for (const _restart of [1, 2, 3]) {
      const before = outcomes.get("HTTP/1.1 200 OK") ?? 0;
      await waitFor("scrapes", () => (outcomes.get("HTTP/1.1 200 OK") ?? 0) > before + 20);
      await daemon.stop();
      daemon = await activate({ workspace, sockets: [socket] });
    }
    await listening(daemon, 1);
    restarting = false;
    await Promise.all(clients);
    await daemon[Symbol.asyncDispose]();
    expect([...outcomes.keys()]).toEqual(["HTTP/1.1 200 OK"]);
  });

  test("a socket that nothing can be accepted from is refused, with what to change", async () => {
    using workspace = createWorkspace();
    using socket = bindUdp();
    await using daemon = await activate({ workspace, sockets: [socket] });
    expect(await daemon.exited).toEqual({ exitCode: 1, signal: null });
    const problem = "cannot listen on descriptor 3, passed by the service manager: not a listening stream socket";
    expect(daemon.lines().at(-1)).toBe(`aami: ${problem}; the socket unit needs ListenStream= and Accept=no`);
  });
});

// The compiled program starts itself again with options for the engine, which must leave it able to call the system.
test.skipIf(!hasNotifySocket && process.env.CI === undefined)(
  "the compiled daemon says that it is ready, reloads and stops",
  async () => {
    using workspace = createWorkspace();
    const path = workspace.file("notify");
    await using socket = await openNotifySocket(path, 4);
    const config = await writeDaemonConfig(workspace);
    const argv = [await ensureBinary(), "daemon", "--config", config];
    await using daemon = startProcess({ name: "daemon", argv, env: { NOTIFY_SOCKET: path } });
    await waitFor("readiness", () => socket.soFar().length === 1);
    daemon.kill("SIGHUP");
    await waitFor("the reload", () => daemon.lines().filter((line) => line.includes("in force")).length === 2);
    await daemon.stop();
    expect(await socket.heard).toEqual(["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
    expect(daemon.lines().join("\n")).not.toContain("service manager cannot be notified");
  },
);

/** The kernel has AF_VSOCK where it has its device. Whether it can connect to itself is another matter. */
test.skipIf(!existsSync("/dev/vsock"))("a vsock address is listened on, and a second daemon is told so", async () => {
  using workspace = createWorkspace();
  const config = await writeDaemonConfig(workspace, { web: { listen_addresses: ["vsock://:0"] } });
  const start = async (...flags: readonly string[]): Promise<RunningProcess> =>
    startProcess({ name: "daemon", argv: [await ensureBinary(), "daemon", "--config", config, ...flags] });
  await using daemon = await start();
  const [address = ""] = await listening(daemon, 1);
  expect(address).toMatch(/^vsock:\/\/:[1-9]\d*$/);
  await using second = await start(`--web.listen-address=${address}`);
  expect(await second.exited).toEqual({ exitCode: 1, signal: null });
  expect(second.lines().at(-1)).toBe(`aami: cannot listen on ${address}: the port is in use`);
});

/** A request on a connection that is made, and may have to wait to be accepted. */
async function openRequest(port: number): Promise<{ answer: Promise<string> }> {
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => void (text += chunk.toString()));
  socket.on("error", (error) => (text = String(error)));
  socket.on("close", () => resolve(text));
  await new Promise((connected) => socket.once("connect", connected));
  socket.write("GET /metrics?collect[]=loadavg HTTP/1.0\r\n\r\n");
  return { answer };
}

/** Open files of the processes that the daemon has started; some end while one looks. */
function filesOfChildren(pid: number): string[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean),
  );
  return children.flatMap((child) => openFilesOf(child));
}

function openFilesOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ESRCH") return [];
    throw error;
  }
}
