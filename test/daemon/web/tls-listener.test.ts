import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectPlain, type Socket } from "node:net";
import { connect } from "node:tls";
import { guard } from "../../../daemon/web/guard.ts";
import { listenTls, type TlsListenOptions } from "../../../daemon/web/tls-listener.ts";
import { openWebConfigSource } from "../../../daemon/web/web-config-source.ts";
import { createLogger, silentLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";
import { createCertificates } from "./certificates.ts";

const certificates = createCertificates();
certificates.issue("server", "DNS:localhost,IP:127.0.0.1");
certificates.issue("renewed", "DNS:localhost,IP:127.0.0.1");
certificates.issue("client", "DNS:prometheus.example,URI:spiffe://x/prometheus,IP:192.0.2.7,IP:2001:db8::7");
afterAll(() => certificates[Symbol.dispose]());

const ca = certificates.read("ca.pem");
const client = { cert: certificates.read("client.pem"), key: certificates.read("client.key") };
const server = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";
let files = 0;

async function listen(
  text: string,
  options: Partial<TlsListenOptions> = {},
): Promise<AsyncDisposable & { url: string; port: number; file: string }> {
  const file = join(certificates.folder, `web-${files++}.yml`);
  writeFileSync(file, text);
  const source = await openWebConfigSource(file, { log: silentLogger, intervalMs: 5 });
  const page = (request: Request): Response => new Response(`${request.method} ${new URL(request.url).pathname}`);
  const handler = guard(page, source, silentLogger);
  const listener = await listenTls({
    doorway: { hostname: "127.0.0.1", port: 0 },
    source,
    handler,
    log: silentLogger,
    ...options,
  });
  const { port } = listener;
  return { url: `https://127.0.0.1:${port}/metrics`, port, file, [Symbol.asyncDispose]: () => listener.stop(true) };
}

const get = (url: string, tls: object = {}): Promise<Response> =>
  fetch(url, { tls: { ca, ...tls }, keepalive: false, signal: AbortSignal.timeout(5000) });

/** A bare handshake: what the server showed and what was agreed on. */
function handshake(port: number, options: object = {}): Promise<{ name: string; protocol: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", ca, ...options }, () => {
      resolve({ name: String(socket.getPeerCertificate().subject.CN), protocol: String(socket.alpnProtocol) });
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("serves over TLS 1.2 and 1.3 and refuses TLS 1.1", async () => {
  await using listener = await listen(server);
  expect(await (await get(listener.url)).text()).toBe("GET /metrics");
  expect((await handshake(listener.port, { maxVersion: "TLSv1.2" })).name).toBe("server");
  await expect(handshake(listener.port, { minVersion: "TLSv1", maxVersion: "TLSv1.1" })).rejects.toThrow();
});

test("min_version is obeyed", async () => {
  await using listener = await listen(`${server}  min_version: TLS13\n`);
  await expect(handshake(listener.port, { maxVersion: "TLSv1.2" })).rejects.toThrow();
  expect((await handshake(listener.port)).name).toBe("server");
});

test.each([
  ["http2 on", "", "h2"],
  ["http2 off", "http_server_config:\n  http2: false\n", "http/1.1"],
])("%s: the protocol that is agreed on", async (_, text, expected) => {
  await using listener = await listen(server + text);
  const { protocol } = await handshake(listener.port, { ALPNProtocols: ["h2", "http/1.1"] });
  expect(protocol).toBe(expected);
});

test("one connection may not ask for thousands of pages at once", async () => {
  let running = 0;
  let most = 0;
  const handler = async (): Promise<Response> => {
    most = Math.max(most, ++running);
    await Bun.sleep(1);
    running--;
    return new Response("page");
  };
  await using listener = await listen(server, { handler });
  const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca });
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": "/metrics" });
      stream.on("error", reject).on("end", resolve).resume().end();
    });
  await Promise.all(Array.from({ length: 500 }, ask));
  session.destroy();
  expect(most).toBeLessThanOrEqual(100);
});

describe("client certificates", () => {
  const verify = `${server}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n`;
  test.each([
    ["required and given", verify, client, 200],
    ["required and missing", verify, {}, "refused"],
    ["optional and missing", verify.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), {}, 200],
    ["allowed name", `${verify}  client_allowed_sans: ["spiffe://x/prometheus"]\n`, client, 200],
    ["allowed address", `${verify}  client_allowed_sans: ["192.0.2.7"]\n`, client, 200],
    ["allowed address, IPv6", `${verify}  client_allowed_sans: ["2001:db8::7"]\n`, client, 200],
    ["other name", `${verify}  client_allowed_sans: ["example"]\n`, client, "refused"],
    ["no allowed name at all", `${verify}  client_allowed_sans: []\n`, client, "refused"],
    ["optional, the machine's own authorities", `${server}  client_auth_type: VerifyClientCertIfGiven\n`, {}, 200],
    [
      "required, and not from the machine's own authorities",
      `${server}  client_auth_type: RequireAndVerifyClientCert\n`,
      client,
      "refused",
    ],
    ["any certificate, none given", `${server}  client_auth_type: RequireAnyClientCert\n`, {}, "refused"],
    ["any certificate, one given", `${server}  client_auth_type: RequireAnyClientCert\n`, client, 200],
  ])("%s", async (_, text, credentials, expected) => {
    await using listener = await listen(text);
    const outcome = await get(listener.url, credentials).then(
      (response) => response.status,
      () => "refused",
    );
    expect(outcome).toBe(expected as number);
  });
});

test("a replaced certificate is used for the next connection", async () => {
  await using listener = await listen(server);
  expect((await handshake(listener.port)).name).toBe("server");
  writeFileSync(listener.file, server.replaceAll("server.", "renewed."));
  // The file is looked at from time to time, and a request that comes then takes the new certificate.
  await waitFor("the new certificate", async () => {
    await get(listener.url);
    return (await handshake(listener.port)).name === "renewed";
  });
});

test("whether clients are asked for a certificate, and HTTP/2, change while running", async () => {
  await using listener = await listen(server);
  const outcome = (credentials: object): Promise<number | string> =>
    get(listener.url, credentials).then(
      ({ status }) => status,
      () => "refused",
    );
  const protocol = async () => (await handshake(listener.port, { ...client, ALPNProtocols: ["h2"] })).protocol;
  expect([await outcome({}), await protocol()]).toEqual([200, "h2"]);
  const verify = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
  writeFileSync(listener.file, `${server}${verify}http_server_config: { http2: false }\n`);
  await waitFor("clients to be asked", async () => (await outcome({})) === "refused");
  expect([await outcome(client), await protocol().catch(() => "none")]).toEqual([200, "none"]);
  writeFileSync(listener.file, server);
  await waitFor("everybody to be let in", async () => (await outcome({})) === 200);
  expect(await protocol()).toBe("h2");
});

test("a replaced certificate is told once, other users are no replaced certificate", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => void lines.push(line) });
  await using listener = await listen(server, { log });
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(listener.file, `${server}basic_auth_users: { ann: "${hash}" }\n`);
  await waitFor("a password to be asked for", async () => (await get(listener.url)).status === 401);
  expect(lines).toEqual([]);
  writeFileSync(listener.file, server.replaceAll("server.", "renewed."));
  await waitFor("the new certificate", async () => {
    await get(listener.url);
    return (await handshake(listener.port)).name === "renewed";
  });
  expect(lines).toEqual([expect.stringContaining("tls settings replaced")]);
});

test("clients are asked for their certificate after the server's was replaced too", async () => {
  const verify = `${server}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n`;
  await using listener = await listen(verify);
  expect((await get(listener.url, client)).status).toBe(200);
  writeFileSync(listener.file, verify.replaceAll("server.", "renewed."));
  await waitFor("the new certificate", async () => {
    await get(listener.url, client);
    return (await handshake(listener.port, client)).name === "renewed";
  });
  expect((await get(listener.url, client)).status).toBe(200);
  expect(await get(listener.url).catch(() => "refused")).toBe("refused");
});

test("passwords, headers and a broken file over TLS", async () => {
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  const headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
  await using listener = await listen(`${server}${headers}basic_auth_users:\n  alice: ${hash}\n`);
  const refused = await get(listener.url);
  expect(refused.status).toBe(401);
  expect(refused.headers.get("www-authenticate")).toBe("Basic");
  expect(refused.headers.get("x-frame-options")).toBe("deny");
  expect(refused.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
  writeFileSync(listener.file, "tls_server_config: [\n");
  await waitFor("the broken file to be seen", async () => (await get(listener.url)).status === 500);
});

test("plain HTTP is told what is wrong", async () => {
  await using listener = await listen(server);
  const response = await fetch(`http://127.0.0.1:${listener.port}/`);
  expect(response.status).toBe(400);
  expect(await response.text()).toBe("Client sent an HTTP request to an HTTPS server.\n");
});

/** Writes `request` over TLS; what has come when the answer holds `until` or the connection has ended. */
function exchange(port: number, request: string, until: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1", ca }, () => socket.write(request));
    const end = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(60_000, end);
    socket.on("error", reject);
    socket.on("close", end);
    socket.on("data", (chunk) => {
      answer += chunk.toString();
      if (answer.includes(until)) end();
    });
  });
}

test.each([
  ["a Host that is none", "GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /metrics"],
  ["a Host with a path", "GET /metrics HTTP/1.1\r\nHost: a/healthz?\r\n\r\n", "GET /metrics"],
  ["the absolute form", "GET http://node/metrics HTTP/1.1\r\nHost: node\r\n\r\n", "GET /metrics"],
  ["no path", "OPTIONS * HTTP/1.1\r\nHost: node\r\n\r\n", "400 Bad Request"],
])("%s: what is asked for does not depend on it", async (_, request, expected) => {
  await using listener = await listen(server);
  expect(await exchange(listener.port, request, expected)).toContain(expected);
});

describe("a connection without a request is not kept", () => {
  const timeouts = { handshakeMs: 400, idleMs: 800 };
  const ended = (socket: Socket): Promise<string> =>
    new Promise((resolve) => {
      socket.on("error", () => {});
      socket.on("close", () => resolve("closed"));
      setTimeout(() => resolve("open"), 60_000).unref();
    });

  test.each([
    ["nothing sent", ""],
    ["a handshake that stops", "\x16"],
  ])("%s", async (_, bytes) => {
    await using listener = await listen(server, { timeouts });
    const socket = connectPlain(listener.port, "127.0.0.1", () => socket.write(bytes));
    expect(await ended(socket)).toBe("closed");
    socket.destroy();
  });

  test.each([
    ["no request", ""],
    ["half a request", "GET /metrics HT"],
  ])("%s", async (_, bytes) => {
    await using listener = await listen(server, { timeouts });
    const socket = connect({ port: listener.port, host: "127.0.0.1", ca }, () => socket.write(bytes));
    expect(await ended(socket)).toBe("closed");
    socket.destroy();
  });

  test("one that goes on asking is", async () => {
    // Asked for longer than it may be idle, at intervals that a busy machine does not stretch to that.
    const timeouts = { handshakeMs: 60_000, idleMs: 3000 };
    await using listener = await listen(server, { timeouts });
    const socket = connect({ port: listener.port, host: "127.0.0.1", ca });
    let answers = 0;
    let closed = false;
    socket.on("error", () => {});
    socket.on("close", () => (closed = true));
    await new Promise<void>((done) => {
      const ask = (): boolean => socket.write("GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n");
      socket.on("secureConnect", ask);
      socket.on("close", () => done());
      socket.on("data", () => {
        answers++;
        if (answers === 6) done();
        else setTimeout(ask, timeouts.idleMs / 4);
      });
    });
    expect([answers, closed]).toEqual([6, false]);
    socket.destroy();
  });
});
