import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { createAdminToken, hashCredential } from "../../protocol/bootstrap-token.ts";
import type { Services } from "../context.ts";
import { roles } from "../roles.ts";
import type { AdminToken } from "../store/admin-tokens.ts";
import { compact } from "../store/rows.ts";
import { createRoutes, IdParams, listing, missing, pageFields, toIso, toIsoOrNull } from "./common.ts";

const NewAdminToken = t.Object(
  {
    name: t.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$" }),
    role: t.Union(roles.map((role) => t.Literal(role))),
    expires_in_seconds: t.Optional(t.Integer({ minimum: 60, maximum: 10 * 365 * 86400 })),
  },
  { additionalProperties: false },
);

export function adminRoutes(services: Services): AnyElysia[] {
  const { store, now } = services;
  const tokens = createRoutes("/api/v1/admin-tokens", "administration")
    .post(
      "",
      async ({ request, body, set }) => {
        const secret = createAdminToken();
        const lifetime = body.expires_in_seconds;
        const token = compact<AdminToken>({
          id: Bun.randomUUIDv7(),
          name: body.name,
          role: body.role,
          created_at: now(),
          expires_at: lifetime === undefined ? undefined : now() + lifetime * 1000,
          revoked_at: undefined,
        });
        const change = {
          action: "admin-token.create",
          resourceId: token.id,
          details: { name: token.name, role: token.role },
        };
        await services.change(request, change, (tx) =>
          tx.adminTokens.create({ ...token, hash: hashCredential(secret) }),
        );
        set.status = 201;
        return { ...toAnswer(token), token: secret };
      },
      { body: NewAdminToken, detail: { summary: "Create a bearer token; its value is shown only here" } },
    )
    .get("", async () => (await store.adminTokens.list()).map(toAnswer))
    .delete(
      "/:id",
      async ({ request, params: { id }, set }) => {
        await services.change(request, { action: "admin-token.revoke", resourceId: id }, async (tx) => {
          if (!(await tx.adminTokens.revoke(id, now()))) missing("admin token", id);
        });
        set.status = 204;
      },
      { params: IdParams },
    );
  const audit = createRoutes("/api/v1/audit", "administration").get(
    "",
    ({ query, set }) => {
      const { page = "1", limit = "100" } = query;
      return listing({ page, limit }, set, {
        fetch: (range) => store.audit.list(range),
        map: (items) => items.map((entry) => ({ ...entry, at: toIso(entry.at) })),
      });
    },
    { query: t.Object(pageFields, { additionalProperties: false }) },
  );
  return [tokens, audit];
}

function toAnswer({ id, name, role, created_at, expires_at, revoked_at }: AdminToken) {
  return {
    id,
    name,
    role,
    created_at: toIso(created_at),
    expires_at: toIsoOrNull(expires_at),
    revoked_at: toIsoOrNull(revoked_at),
  };
}
