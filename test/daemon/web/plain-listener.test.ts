import { expect, test } from "bun:test";
import { connect } from "node:net";
import type { Handler } from "../../../daemon/web/guard.ts";
import { listenPlain } from "../../../daemon/web/plain-listener.ts";
import { silentLogger } from "../../../runtime/log.ts";

const page: Handler = (request) => new Response(`${request.method} ${new URL(request.url).pathname}`);

async function open(handler: Handler, idleMs = 60_000): Promise<AsyncDisposable & { port: number }> {
  const doorway = { hostname: "127.0.0.1", port: 0 };
  const listener = await listenPlain({ doorway, handler, log: silentLogger, idleMs });
  return { port: listener.port, [Symbol.asyncDispose]: () => listener.stop(true) };
}

/** All that the server says until it hangs up. */
const exchange = (port: number, request: string): Promise<string> => openClient(port, request).all;

test.each([
  ["HTTP/1.0 without a Host", "GET /metrics HTTP/1.0\r\n\r\n", "200 OK", "GET /metrics"],
  ["the absolute form", "GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK", "GET /b"],
  ["a Host that is none", "GET /b HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", "200 OK", "GET /b"],
  [
    "no page of its own",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "400 Bad Request",
    "Bad Request\n",
  ],
  ["HEAD", "HEAD /metrics HTTP/1.0\r\n\r\n", "200 OK", ""],
  ["a body that nobody reads", "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "200 OK", "POST /"],
  ["no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400 Bad Request", ""],
])("%s", async (_, request, status, body) => {
  await using listener = await open(page);
  const answer = await exchange(listener.port, request);
  expect(answer).toStartWith(`HTTP/1.1 ${status}\r\n`);
  expect(answer.slice(answer.indexOf("\r\n\r\n") + 4)).toBe(body);
});

test.each([
  ["says nothing", ""],
  ["stops in the middle of a request", "GET / HTTP/1.1\r\nHost: a\r\nX-"],
  ["keeps its connection", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"],
])("a client that %s is disconnected", async (_, request) => {
  await using listener = await open(page, 100);
  await exchange(listener.port, request);
});

test("a page that fails is logged, and its connection ends", async () => {
  await using listener = await open(() => Promise.reject(new Error("no page")));
  expect(await exchange(listener.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("");
});

test("a server that stops answers who is connected, lets go of who has been answered, and takes nobody more", async () => {
  const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const handler = async (request: Request): Promise<Response> => {
    if (!request.url.endsWith("/slow")) return new Response("page");
    asked.resolve();
    await gate.promise;
    return new Response("last page");
  };
  const doorway = { hostname: "127.0.0.1", port: 0 };
  const listener = await listenPlain({ doorway, handler, log: silentLogger, idleMs: 60_000 });
  const kept = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const answered = openClient(listener.port, kept);
  await answered.first;
  const silent = openClient(listener.port, "");
  const running = openClient(listener.port, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await asked.promise;
  const stopped = listener.stop(false);
  expect(await answered.all).toEndWith("\r\n\r\npage");
  await expect(exchange(listener.port, "")).rejects.toThrow();
  silent.socket.write(kept);
  expect(await silent.all).toEndWith("\r\n\r\npage");
  gate.resolve();
  expect(await running.all).toEndWith("\r\n\r\nlast page");
  await stopped;
});

/** A connection of which the test holds the socket. `first` resolves with the first bytes, `all` when it has ended. */
function openClient(port: number, request: string) {
  const [first, all] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
  let text = "";
  const socket = connect(port, "127.0.0.1", () => socket.write(request));
  socket.on("data", (chunk) => {
    text += chunk.toString();
    first.resolve();
  });
  socket.on("error", all.reject);
  socket.on("close", () => all.resolve(text));
  return { socket, first: first.promise, all: all.promise };
}
