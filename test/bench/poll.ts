/**
 * Bundle polls per second on one core, beside nginx serving a static file of the same size in the same run. Both
 * servers are pinned to core 0, the load generator to core 1; every poll carries its own proof, signed beforehand.
 *
 *   sh scripts/bun.sh test/bench/poll.ts [POLLS]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { hashCredential, parseBootstrapToken } from "../../protocol/bootstrap-token.ts";
import { createSigningKey, type SigningKey } from "../../protocol/keys.ts";
import { signNodeRequest, signRegistrationProof } from "../../protocol/proof.ts";
import { ensureTestServers, findTestProgram, testProgramEnvironment } from "../../scripts/test-servers.ts";
import { type LoadResult, runLoad } from "./http-load.ts";
import { readTreeUsage } from "./process-tree.ts";

const polls = Number(process.argv[2] ?? 20_000);
// Each sends its share of two runs at once, and may send 60.
const nodeCount = Math.max(50, Math.ceil(polls / 25));
const connections = 32;
const path = "/api/v1/nodes/self/bundle";
const folder = mkdtempSync(join(tmpdir(), "aami-bench-"));

interface Node {
  readonly id: string;
  readonly key: SigningKey;
}

await main();

async function main(): Promise<void> {
  pin(process.pid, 1);
  if (cpus().length < 2) console.error("one core only: the load generator competes with the servers");
  await ensureTestServers();
  const server = startServer();
  try {
    const { url, fleet } = await started(server.stderr);
    const nodes = await prepare(url);
    const bundle = await fetchBundle(url, nodes[0], fleet);
    console.log(`bundle of ${bundle.bytes.length} bytes, ${polls} requests, ${connections} connections`);
    const port = Number(new URL(url).port);
    await report("aami, 304", server.pid, port, await pollRequests(nodes, fleet, bundle.etag));
    await report("aami, 200", server.pid, port, await pollRequests(nodes, fleet, undefined));
    await measureNginx(bundle.bytes);
  } finally {
    server.kill();
    await server.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

function startServer() {
  const data = join(folder, "data");
  const main = join(import.meta.dir, "../../main.ts");
  const config = join(folder, "server.yaml");
  writeFileSync(config, `registration: { attempts_burst: ${nodeCount} }\n`);
  const argv = [process.execPath, main, "server", "--config", config, "--listen", "127.0.0.1:0", "--data", data];
  const server = Bun.spawn(argv, { stderr: "pipe", stdout: "ignore" });
  pin(server.pid, 0);
  return server;
}

async function started(log: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<{ url: string; fleet: string }> {
  const [watched, rest] = log.tee();
  void rest.pipeTo(new WritableStream()); // or the pipe fills up and the server's log lines are lost
  let text = "";
  for await (const chunk of watched.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const line = text.split("\n").find((one) => one.includes('"server started"'));
    if (line !== undefined) return JSON.parse(line) as { url: string; fleet: string };
  }
  throw new Error(`the server did not start: ${text}`);
}

/** A policy with a few checks, and nodes that know it. */
async function prepare(url: string): Promise<Node[]> {
  const admin = readFileSync(join(folder, "data/admin.token"), "utf8").trim();
  const call = async <T>(to: string, body: unknown): Promise<T> => {
    const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
    const response = await fetch(url + to, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as T;
  };
  for (let index = 0; index < 20; index++) {
    const script = { script_type: "bench", language: "bash", script_content: `echo 'x ${index}'\n` };
    await call("/api/v1/script-policies/direct", { ...script, name: `check-${index}`, scope: "global" });
  }
  const { token } = await call<{ token: string }>("/api/v1/bootstrap-tokens", { name: "bench", max_uses: nodeCount });
  const { credential, serverFingerprint = "" } = parseBootstrapToken(token);
  const nodes: Node[] = [];
  for (let index = 0; index < nodeCount; index++) {
    const key = createSigningKey();
    const tokenHash = hashCredential(credential);
    const proof = await signRegistrationProof({ key, tokenHash, serverFingerprint, nowMs: Date.now() });
    const body = { token, hostname: `node-${index}`, public_key: key.publicKey, proof };
    nodes.push({ id: (await call<{ node_id: string }>("/api/v1/bootstrap/register", body)).node_id, key });
  }
  return nodes;
}

function prove(node: Node, fleet: string): Promise<string> {
  return signNodeRequest({
    method: "GET",
    path,
    body: "",
    nodeId: node.id,
    audience: fleet,
    key: node.key,
    nowMs: Date.now(),
  });
}

async function fetchBundle(url: string, node: Node | undefined, fleet: string) {
  if (node === undefined) throw new Error("no node was registered");
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${await prove(node, fleet)}` } });
  return { etag: response.headers.get("etag") ?? "", bytes: await response.bytes() };
}

async function pollRequests(nodes: readonly Node[], fleet: string, etag: string | undefined): Promise<Uint8Array[]> {
  const condition = etag === undefined ? "" : `If-None-Match: ${etag}\r\n`;
  const requests: Uint8Array[] = [];
  for (let index = 0; index < polls; index++) {
    const node = nodes[index % nodes.length];
    if (node === undefined) continue;
    const proof = await prove(node, fleet);
    requests.push(
      Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n${condition}Authorization: Bearer ${proof}\r\n\r\n`),
    );
  }
  return requests;
}

async function measureNginx(content: Uint8Array): Promise<void> {
  const program = findTestProgram("nginx");
  if (program === undefined) return console.log("nginx: not there, left out");
  writeFileSync(join(folder, "bundle"), content);
  const port = freePort();
  const config = join(folder, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log; ${process.getuid?.() === 0 ? "user root;" : ""}
     events { worker_connections 512; }
     http { access_log off; keepalive_requests 10000000; open_file_cache max=10;
       client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3; uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
       server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  );
  const environment = { ...process.env, ...testProgramEnvironment() };
  const argv = ["taskset", "-c", "0", program, "-c", config, "-e", join(folder, "error.log")];
  const nginx = Bun.spawn(argv, { env: environment, stdout: "ignore", stderr: "inherit" });
  try {
    const url = `http://127.0.0.1:${port}/bundle`;
    const etag = await answering(url);
    const request = (condition: string) => Buffer.from(`GET /bundle HTTP/1.1\r\nHost: bench\r\n${condition}\r\n`);
    const repeat = (one: Uint8Array): Uint8Array[] => Array.from({ length: polls }, () => one);
    await report("nginx, 304", nginx.pid, port, repeat(request(`If-None-Match: ${etag}\r\n`)));
    await report("nginx, 200", nginx.pid, port, repeat(request("")));
  } finally {
    nginx.kill();
    await nginx.exited;
  }
}

async function answering(url: string): Promise<string> {
  for (const end = performance.now() + 5000; ;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok === true) return response.headers.get("etag") ?? "";
    if (performance.now() > end) throw new Error("nginx does not answer");
    await Bun.sleep(20);
  }
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function report(name: string, pid: number, port: number, requests: readonly Uint8Array[]): Promise<void> {
  const before = readTreeUsage(pid);
  const result = await runLoad({ hostname: "127.0.0.1", port, requests, connections });
  const after = readTreeUsage(pid);
  console.log(describe(name, result, after.cpuSeconds - before.cpuSeconds, after.tree.rssBytes));
}

function describe(
  name: string,
  { requests, seconds, statuses, latencySeconds }: LoadResult,
  cpuSeconds: number,
  rssBytes: number,
): string {
  const rate = Math.round(requests / seconds);
  const perCore = cpuSeconds > 0 ? Math.round(requests / cpuSeconds) : Number.NaN;
  const codes = [...statuses].map(([status, count]) => `${status}×${count}`).join(" ");
  const ms = (value: number) => `${(value * 1000).toFixed(2)} ms`;
  return `${name.padEnd(12)} ${rate}/s, ${perCore} per CPU second, p50 ${ms(latencySeconds.p50)}, p99 ${ms(latencySeconds.p99)}, RSS ${Math.round(rssBytes / 2 ** 20)} MiB, ${codes}`;
}

function pin(pid: number, core: number): void {
  const { exitCode } = Bun.spawnSync(["taskset", "-a", "-cp", String(core), String(pid)], {
    stdout: "ignore",
    stderr: "ignore",
  });
  if (exitCode !== 0) console.error(`process ${pid} could not be pinned to core ${core}`);
}
