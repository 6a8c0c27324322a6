import { expect, test } from "bun:test";
import { connect } from "node:net";
import { listen } from "../../../daemon/http/listen.ts";
import { createRoutes, type RouteOptions } from "../../../daemon/http/routes.ts";
import { silentLogger } from "../../../runtime/log.ts";

const options: RouteOptions = {
  telemetryPath: "/metrics",
  metrics: async (_, query) => new Response(`metrics page ${query}`),
  status: () => ({}),
  statusPage: () => "status page",
  isReady: () => true,
  isLifecycleOpen: false,
  reload: async () => ({ needRestart: [] }),
  parts: () => undefined,
};
const handler = createRoutes(() => options);

/** What a client that writes these bytes and no others is answered. */
function exchange(port: number, request: string, until: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
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
  ["HTTP/1.0 without a Host", "GET /metrics?a=1 HTTP/1.0\r\n\r\n", "metrics page a=1"],
  ["an address in the query", "GET /metrics?from=http://a/b HTTP/1.0\r\n\r\n", "metrics page from=http://a/b"],
  ["a Host that is none", "GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n", "metrics page "],
  ["a Host with a path", "GET /metrics HTTP/1.1\r\nHost: a/healthz?\r\n\r\n", "metrics page "],
  ["an escaped letter", "GET /%6detrics?a=1 HTTP/1.1\r\nHost: a\r\n\r\n", "metrics page a=1"],
  ["the absolute form", "GET http://node/metrics HTTP/1.1\r\nHost: node\r\n\r\n", "metrics page "],
])("%s: the path is found", async (_, request, expected) => {
  const listeners = await listen({ addresses: ["127.0.0.1:0"], webConfigFile: "", handler, log: silentLogger });
  try {
    const port = Number(listeners.addresses[0]?.split(":").at(-1));
    expect(await exchange(port, request, expected)).toContain(`\r\n\r\n${expected}`);
  } finally {
    await listeners.stop(0);
  }
});

test.each([
  ["this machine", "127.0.0.1", false, 200],
  ["this machine, IPv6", "::1", false, 200],
  ["this machine on a socket of both families", "::ffff:127.0.0.1", false, 200],
  ["another machine", "192.0.2.7", false, 403],
  ["another machine with a telling name", "192.0.127.1", false, 403],
  ["a Unix socket", undefined, false, 403],
  ["another machine, with --web.enable-lifecycle", "192.0.2.7", true, 200],
])("a reload is asked for by %s", async (_who, address, isLifecycleOpen, status) => {
  const request = new Request("http://node/-/reload", { method: "POST" });
  const answer = await createRoutes(() => ({ ...options, isLifecycleOpen }))(request, () => address);
  expect(answer.status).toBe(status);
});

test.each([
  ["//metrics?a=1&b=2", "/metrics?a=1&b=2"],
  ["/x///%20y", "/x/%20y"],
])("%s is sent to %s", async (path, location) => {
  const response = await handler(new Request(`http://node${path}`), () => undefined);
  expect([response.status, response.headers.get("location")]).toEqual([301, location]);
});

test("a telemetry path that ends in a slash is found without it", async () => {
  const slashed = createRoutes(() => ({ ...options, telemetryPath: "/node/" }));
  const response = await slashed(new Request("http://node/node?a=1"), () => undefined);
  expect([response.status, response.headers.get("location")]).toEqual([301, "/node/?a=1"]);
});

test("a broken escape names no page", async () => {
  expect((await handler(new Request("http://node/%zzmetrics"), () => undefined)).status).toBe(404);
});
