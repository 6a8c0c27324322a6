import { describeReload, type Reload } from "../reload.ts";
import type { ClientAddress, Handler } from "../web/guard.ts";
import { plainText } from "../web/plain-text.ts";

export interface RouteOptions {
  readonly telemetryPath: string;
  readonly metrics: (request: Request, query: string) => Promise<Response>;
  readonly status: () => unknown;
  readonly statusPage: () => string;
  readonly isReady: () => boolean;
  /** Whether other machines may ask for a reload. */
  readonly isLifecycleOpen: boolean;
  /** Reads the configuration again. */
  readonly reload: () => Promise<Reload>;
  /** Paths of the parts of the daemon. */
  readonly parts: (request: Request, path: string) => Response | Promise<Response> | undefined;
}

/** What the daemon answers on its port; `options` is asked anew each time, so that a reload takes effect. */
export function createRoutes(options: () => RouteOptions): Handler {
  return (request, client) => {
    const { path: written, query } = splitUrl(request.url);
    const path = written.includes("%") ? decodePath(written) : written;
    if (path.includes("//")) return redirect(path.replace(/\/{2,}/g, "/"), query);
    return answer(request, { path, query, client, current: options() });
  };
}

interface Asked {
  readonly path: string;
  readonly query: string;
  readonly client: ClientAddress;
  readonly current: RouteOptions;
}

function answer(request: Request, { path, query, client, current }: Asked): Response | Promise<Response> {
  if (path === current.telemetryPath) return current.metrics(request, query);
  if (`${path}/` === current.telemetryPath) return redirect(current.telemetryPath, query);
  switch (path) {
    case "/":
      return new Response(current.statusPage(), { headers: { "content-type": "text/html; charset=utf-8" } });
    case "/health":
    case "/healthz":
    case "/-/healthy":
      return text(200, "aami daemon is healthy.");
    case "/readyz":
    case "/-/ready":
      return current.isReady() ? text(200, "aami daemon is ready.") : text(503, "aami daemon is starting.");
    case "/-/reload":
      return reload(request, client, current);
    case "/api/v1/status":
      return Response.json(current.status(), { headers: { "cache-control": "no-store" } });
    default:
      return current.parts(request, path) ?? text(404, "404 page not found");
  }
}

/** As it stands where an escape is broken: no page has such a name. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Go's router sends "//metrics" to "/metrics", and "/metrics" to "/metrics/" where that is the page. */
function redirect(path: string, query: string): Response {
  const location = encodeURI(path) + (query === "" ? "" : `?${query}`);
  return new Response(`<a href="${location.replaceAll("&", "&amp;")}">Moved Permanently</a>.\n\n`, {
    status: 301,
    headers: { location, "content-type": "text/html; charset=utf-8" },
  });
}

async function reload(request: Request, client: ClientAddress, options: RouteOptions): Promise<Response> {
  if (request.method !== "POST" && request.method !== "PUT") {
    const response = text(405, "Only POST or PUT requests allowed");
    response.headers.set("allow", "POST, PUT");
    return response;
  }
  if (!options.isLifecycleOpen && !isLoopback(client()))
    return text(403, "Only this machine may reload; --web.enable-lifecycle lets others.");
  const outcome = await options.reload();
  const reason = describeReload(outcome);
  if (outcome.problem !== undefined) return text(500, `failed to reload config: ${reason}`);
  return text(200, reason === undefined ? "configuration reloaded" : `configuration reloaded in part: ${reason}`);
}

const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && /^(?:::ffff:)?127\.|^::1$/.test(address);

/**
 * Path and query without the price of a URL object: this runs for every scrape. A request without a usable Host, as
 * HTTP/1.0 allows, comes as the path alone.
 */
function splitUrl(url: string): { path: string; query: string } {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  const mark = url.indexOf("?", start);
  return mark < 0
    ? { path: url.slice(start), query: "" }
    : { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

function text(status: number, body: string): Response {
  return plainText(status, `${body}\n`);
}
