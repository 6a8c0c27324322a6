import type { AnyElysia } from "elysia";
import { Type as t } from "@sinclair/typebox";
import { ForbiddenError } from "../../protocol/errors.ts";
import { EffectiveCheck } from "../../protocol/registration.ts";
import type { Services } from "../context.ts";
import type { Target } from "../store/targets.ts";
import { operation } from "../http/operation.ts";
import { createRoutes, IdParams, missing } from "./common.ts";

/** What a target runs, with merged configuration. An empty list is an answer, not an error. */
export function checkRoutes(services: Services): AnyElysia {
  const { store, bundles } = services;
  const detail = operation("What a target runs, with merged configuration", { 200: t.Array(EffectiveCheck) });
  const checksOf = (request: Request, target: Target) => {
    const { principal } = services.callerOf(request);
    if (principal.kind === "node" && principal.nodeId !== target.id)
      throw new ForbiddenError("a node may read its own checks only");
    return bundles.effectiveChecks(target.group_ids);
  };
  const byHostname = async (request: Request, hostname: string) =>
    checksOf(request, (await store.targets.findByHostname(hostname)) ?? missing("target", hostname));
  return createRoutes("/api/v1/checks", "checks")
    .get("/target/hostname/:hostname", ({ request, params: { hostname } }) => byHostname(request, hostname), {
      detail,
    })
    .get("/hostname/:hostname", ({ request, params: { hostname } }) => byHostname(request, hostname), { detail })
    .get(
      "/target/:id",
      async ({ request, params: { id } }) => checksOf(request, (await store.targets.get(id)) ?? missing("target", id)),
      { params: IdParams, detail },
    );
}
