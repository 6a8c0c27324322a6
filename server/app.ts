import { type AnyElysia, Elysia } from "elysia";
import { ForbiddenError } from "../protocol/errors.ts";
import type { Caller, Services } from "./context.ts";
import { parseJsonBody, readBody } from "./http/body.ts";
import { retryAfter, toAppError, toErrorBody } from "./http/errors.ts";
import { operation } from "./http/operation.ts";
import { peerAddress, type TrustedProxies } from "./http/peer.ts";
import type { ServerMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { adminRoutes } from "./routes/admin.ts";
import { checkRoutes } from "./routes/checks.ts";
import { docsRoutes } from "./routes/docs.ts";
import { discoveryRoutes } from "./routes/discovery.ts";
import { groupRoutes, namespaceRoutes } from "./routes/groups.ts";
import { healthRoutes } from "./routes/health.ts";
import { blobRoutes, nodeRoutes } from "./routes/nodes.ts";
import { policyRoutes } from "./routes/policies.ts";
import { registrationRoutes } from "./routes/registration.ts";
import { targetRoutes } from "./routes/targets.ts";
import { templateRoutes } from "./routes/templates.ts";
import { tokenRoutes } from "./routes/tokens.ts";

export interface AppOptions {
  readonly services: Services;
  readonly metrics: ServerMetrics;
  /** Filled in before any handler runs; services.callerOf reads it. */
  readonly callers: WeakMap<Request, Caller>;
  readonly trustedProxies: TrustedProxies;
  readonly maxBodyBytes: number;
}

const noBody = new Uint8Array();

export function createApp({ services, metrics, callers, trustedProxies, maxBodyBytes }: AppOptions): AnyElysia {
  const { auth, log, refusals } = services;
  const refuse = ({ principal, address }: Caller, { method, url }: Request) => {
    const details = { method, path: new URL(url).pathname.slice(0, 256) };
    return refusals.record({ principal, address }, { action: "request.refuse", details }, "FORBIDDEN");
  };
  const startedAt = new WeakMap<Request, number>();
  const identify = async (request: Request, body: Uint8Array, socketAddress: string | undefined) => {
    const address = peerAddress(request, socketAddress, trustedProxies);
    const caller = { principal: await auth.identify(request, body), address };
    try {
      auth.assertAllowed(caller.principal, request);
    } catch (error) {
      if (error instanceof ForbiddenError) await refuse(caller, request);
      throw error;
    }
    callers.set(request, caller);
  };

  const app: AnyElysia = new Elysia({ normalize: false })
    .onRequest(({ request }) => void startedAt.set(request, performance.now()))
    .onParse({ as: "global" }, async ({ request, server }) => {
      const socketAddress = server?.requestIP(request)?.address;
      // Who sent it is asked before the body is judged, and before it is even read where that is possible.
      if (!auth.needsBody(request)) await identify(request, noBody, socketAddress);
      const bytes = await readBody(request, maxBodyBytes);
      if (!callers.has(request)) await identify(request, bytes, socketAddress);
      return parseJsonBody(bytes, request.headers.get("content-type"));
    })
    .onTransform({ as: "global" }, async ({ request, server }) => {
      if (!callers.has(request)) await identify(request, noBody, server?.requestIP(request)?.address);
    })
    .onError({ as: "global" }, ({ error, code, set, request }) => {
      const known = toAppError(error, code);
      if (known === undefined || known.status >= 500)
        log.error("request failed", { method: request.method, path: new URL(request.url).pathname, error });
      const status = known?.status ?? 500;
      return new Response(
        JSON.stringify(toErrorBody(known ?? { code: "INTERNAL_ERROR", message: "internal error", details: undefined })),
        {
          status: (set.status = status),
          headers: { "content-type": "application/json", ...(known === undefined ? {} : retryAfter(known)) },
        },
      );
    })
    .onAfterResponse({ as: "global" }, ({ request, route, set, response }) => {
      const status = response instanceof Response ? response.status : Number(set.status ?? 200);
      const seconds = (performance.now() - (startedAt.get(request) ?? performance.now())) / 1000;
      metrics.observe({ method: request.method, route: route || "none", status, seconds });
    });
  const routes = routesOf(services, metrics);
  return [...routes, docsRoutes(() => describeApi(routes))].reduce((whole, one) => whole.use(one), app);
}

// A list and not a chain of use(): the inferred type of such a chain takes the compiler minutes.
function routesOf(services: Services, metrics: ServerMetrics): AnyElysia[] {
  return [
    healthRoutes(services),
    metricRoutes(metrics),
    namespaceRoutes(services),
    groupRoutes(services),
    registrationRoutes(services),
    tokenRoutes(services, "/api/v1/bootstrap-tokens"),
    tokenRoutes(services, "/api/v1/bootstrap/tokens"),
    targetRoutes(services),
    templateRoutes(services),
    policyRoutes(services),
    checkRoutes(services),
    nodeRoutes(services),
    blobRoutes(services),
    discoveryRoutes(services),
    ...adminRoutes(services),
  ];
}

function metricRoutes(metrics: ServerMetrics): AnyElysia {
  const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
  return new Elysia().get("/metrics", async () => new Response(await metrics.page(), { headers }), {
    tags: ["service discovery"],
    detail: operation("Metrics of the server itself, for Prometheus", { 200: "text/plain" }),
  });
}
