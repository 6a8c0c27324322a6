import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { BodyError, UnauthorizedError } from "../../protocol/errors.ts";
import { Limits } from "../../protocol/manifest.ts";
import { CredentialError } from "../../protocol/proof.ts";
import { appliedRevisionHeader, NodeStatus } from "../../protocol/status.ts";
import { createRateLimit } from "../http/rate-limit.ts";
import type { Services } from "../context.ts";
import { nothing, operation } from "../http/operation.ts";
import { createRoutes, missing } from "./common.ts";

/** A proxy or Bun itself must not cut a poll: shorter than any usual idle timeout. */
const maxWaitSeconds = 50;

export function nodeRoutes(services: Services): AnyElysia {
  const { store, polls, liveness, log } = services;
  const nodeOf = (request: Request): string => {
    const { principal } = services.callerOf(request);
    if (principal.kind !== "node") throw new UnauthorizedError("UNAUTHORIZED", "this address is for nodes");
    return principal.nodeId;
  };

  // Each one is a write to disk; a daemon sends one every few seconds at the most.
  const reports = createRateLimit({ perSecond: 1, burst: 30 }, services.now);
  // A daemon rests for a second between two polls.
  const requests = createRateLimit({ perSecond: 1, burst: 60 }, services.now);

  return createRoutes("/api/v1/nodes/self", "nodes")
    .get(
      "/bundle",
      async ({ request }) => {
        const nodeId = nodeOf(request);
        requests.take(nodeId);
        const applied = /^\d{1,16}\.\d{1,16}$/.exec(request.headers.get(appliedRevisionHeader) ?? "")?.[0];
        liveness.seen(nodeId, applied);
        const etag = request.headers.get("if-none-match") ?? undefined;
        const bundle = await polls.next({ nodeId, etag, waitMs: waitSeconds(request) * 1000, signal: request.signal });
        // Removed or replaced while it waited.
        if (bundle === undefined) throw new CredentialError("NODE_REVOKED", "the node is not known any more");
        liveness.seen(nodeId);
        const headers = { etag: bundle.etag, "cache-control": "private, no-cache" };
        if (bundle.etag === etag) return new Response(null, { status: 304, headers });
        return new Response(bundle.bytes, { headers: { ...headers, "content-type": "application/jose" } });
      },
      {
        detail: operation("The signed bundle; If-None-Match, Prefer: wait=N", {
          200: "application/jose",
          304: "nothing",
        }),
      },
    )
    .post(
      "/status",
      async ({ request, body, set }) => {
        const nodeId = nodeOf(request);
        if (Buffer.byteLength(JSON.stringify(body)) > Limits.statusBytes)
          throw new BodyError("BODY_TOO_LARGE", `a status is at most ${Limits.statusBytes} bytes`);
        reports.take(nodeId);
        liveness.seen(nodeId, body.active === undefined ? undefined : `${body.active.epoch}.${body.active.version}`);
        const { sequence, ...report } = body;
        const newer = await store.targets.recordReport(nodeId, report, sequence);
        if (!newer) log.debug("dropped an old status report", { node: nodeId, sequence });
        set.status = 204;
      },
      { body: NodeStatus, detail: operation("Report which revision and checks run, and how they go", nothing) },
    )
    .delete(
      "",
      async ({ request, set }) => {
        const nodeId = nodeOf(request);
        await services.change(request, { action: "node.deregister", resourceId: nodeId }, async (tx) => {
          if (!(await tx.targets.setDeleted(nodeId, services.now()))) missing("node", nodeId);
        });
        services.nodes.forget(nodeId);
        set.status = 204;
      },
      { detail: operation("Leave: the machine is taken out of service", nothing) },
    );
}

function waitSeconds(request: Request): number {
  const wanted = /(?:^|,)\s*wait=(\d{1,6})/.exec(request.headers.get("prefer") ?? "")?.[1];
  return Math.min(maxWaitSeconds, Number(wanted ?? 0));
}

export function blobRoutes({ store, now, callerOf }: Services): AnyElysia {
  // Twice as many as one bundle may need, at once.
  const reads = createRateLimit({ perSecond: 5, burst: 2 * Limits.checks }, now);
  return createRoutes("/api/v1/blobs", "nodes").get(
    "/:hash",
    async ({ request, params: { hash } }) => {
      const { principal } = callerOf(request);
      if (principal.kind === "node") reads.take(principal.nodeId);
      const content = (await store.policies.script(hash)) ?? missing("blob", hash);
      const headers = {
        etag: `"${hash}"`,
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": "application/octet-stream",
      };
      return new Response(content, { headers });
    },
    {
      params: t.Object({ hash: t.String({ pattern: "^[0-9a-f]{64}$", description: "SHA-256 in lower-case hex." }) }),
      detail: operation("A script by its SHA-256", { 200: "application/octet-stream" }),
    },
  );
}
