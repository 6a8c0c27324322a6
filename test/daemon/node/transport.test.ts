import { afterAll, describe, expect, test } from "bun:test";
import { createTransport, TransportError, type TransportRequest } from "../../../daemon/node/transport.ts";
import { createCertificates } from "../web/certificates.ts";

const certificates = createCertificates();
certificates.issue("server", "DNS:localhost,IP:127.0.0.1");
const ca = certificates.read("ca.pem");

const bomb = Bun.gzipSync(new Uint8Array(64 * 1024 * 1024));
let requests = 0;
const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
const secure = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  tls: { cert: certificates.read("server.pem"), key: certificates.read("server.key") },
  fetch: answer,
});
afterAll(async () => {
  await Promise.all([plain.stop(true), secure.stop(true)]);
  certificates[Symbol.dispose]();
});

function answer(request: Request): Response {
  requests += 1;
  const { pathname } = new URL(request.url);
  if (pathname === "/redirect") return Response.redirect(`${plain.url.origin}/elsewhere`);
  if (pathname === "/silent")
    return new Response(new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1)) }));
  if (pathname === "/trickle") {
    const pull = async (stream: ReadableStreamDefaultController<Uint8Array>) => {
      await Bun.sleep(20);
      stream.enqueue(new Uint8Array(1));
    };
    return new Response(new ReadableStream({ pull }));
  }
  if (pathname === "/bomb") {
    return new Response(bomb, { headers: { "content-encoding": "gzip" } });
  }
  if (pathname === "/large") return new Response(new Uint8Array(5000));
  return new Response("good");
}

interface Asking {
  readonly base?: string;
  readonly ca?: string;
  readonly signal?: AbortSignal;
  readonly maxBytes?: number;
  readonly deadlineMs?: number;
}

function ask(path: string, options: Asking = {}) {
  const { base = plain.url.origin, signal = new AbortController().signal, maxBytes = 4096 } = options;
  const { deadlineMs = 60_000 } = options;
  const transport = createTransport({
    baseUrl: base,
    fetch,
    now: Date.now,
    ...(options.ca !== undefined && { ca: options.ca }),
  });
  const request: TransportRequest = { method: "GET", path, maxBytes, deadlineMs, signal };
  return transport.request(request);
}

async function faultOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TransportError) return error.code;
    throw error;
  }
  return "none";
}

describe("over a real connection", () => {
  test("a good answer, and the server's clock", async () => {
    const transport = createTransport({ baseUrl: `${plain.url.origin}/`, fetch, now: () => Date.now() - 3_600_000 });
    const signal = new AbortController().signal;
    const { status, bytes } = await transport.request({
      method: "GET",
      path: "/",
      maxBytes: 10,
      deadlineMs: 60_000,
      signal,
    });
    expect([status, new TextDecoder().decode(bytes)]).toEqual([200, "good"]);
    expect(Math.abs((transport.clockSkewMs ?? 0) - 3_600_000)).toBeLessThan(60_000);
  });

  test.each([
    ["a body that stops", "/silent", "timeout", 500],
    ["a body that trickles", "/trickle", "timeout", 500],
    ["a body larger than allowed", "/large", "too_large", 60_000],
    ["a redirect", "/redirect", "unreachable", 60_000],
  ])("%s: %s is %s", async (_name, path, code, deadlineMs) =>
    expect(await faultOf(ask(path, { deadlineMs }))).toBe(code),
  );

  test("a redirect is not followed", async () => {
    const before = requests;
    await faultOf(ask("/redirect"));
    expect(requests - before).toBe(1);
  });

  test("a compressed answer is not unpacked: 64 MiB of zeros stay the bytes that were sent", async () => {
    const { bytes } = await ask("/bomb", { maxBytes: 1_000_000 });
    expect(bytes.length).toBeGreaterThan(1000);
    expect([bytes[0], bytes[1]]).toEqual([0x1f, 0x8b]);
  });

  test("nobody listens", async () =>
    expect(await faultOf(ask("/", { base: "http://127.0.0.1:1" }))).toBe("unreachable"));

  test("the signal ends a request that waits, with the signal's reason", async () => {
    const stop = new AbortController();
    const asked = ask("/silent", { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("stopping")), 20);
    await expect(asked).rejects.toThrow("stopping");
  });

  test("https: the configured authority is trusted, and only that", async () => {
    const base = secure.url.origin;
    expect((await ask("/", { base, ca })).status).toBe(200);
    expect(await faultOf(ask("/", { base }))).toBe("unreachable");
  });
});
