import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Handler } from "./guard.ts";

/** Answers a request of node:http or node:http2 by a handler of the Fetch API's types. */
export async function respond(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  handler: Handler,
): Promise<void> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  // No page of the daemon reads a body: whatever is sent is thrown away.
  request.resume();
  const { method = "GET" } = request;
  const path = pathOf(request.url ?? "");
  if (path === undefined || method === "CONNECT") {
    response.statusCode = 400;
    response.end("Bad Request\n");
    return;
  }
  const client = (): string | undefined => request.socket.remoteAddress;
  const answer = await handler(new Request(`http://localhost${path}`, { method, headers }), client);
  response.statusCode = answer.status;
  for (const [name, value] of answer.headers) response.setHeader(name, value);
  const body = new Uint8Array(await answer.arrayBuffer());
  response.setHeader("content-length", body.length);
  response.end(method === "HEAD" ? "" : body);
}

/** Path and query of "/metrics" or "https://host/metrics". The client's Host has no part in it: it may be anything. */
function pathOf(target: string): string | undefined {
  const path = target.replace(/^https?:\/\/[^/?#]+(?=\/)/i, "");
  return path.startsWith("/") ? path : undefined;
}
