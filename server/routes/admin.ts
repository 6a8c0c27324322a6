import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { createRoleToken, hashCredential } from "../../protocol/bootstrap-token.ts";
import type { Services } from "../context.ts";
import { roles } from "../roles.ts";
import type { AdminToken } from "../store/admin-tokens.ts";
import { compact } from "../store/rows.ts";
import { ListOf, nothing, nullable, operation, Time } from "../http/operation.ts";
import { createRoutes, Id, IdParams, listing, missing, pageFields, toIso, toIsoOrNull } from "./common.ts";

const NewAdminToken = t.Object(
  {
    name: t.String({
      pattern: "^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$",
      description: "Letters, digits, spaces and `._@-`, beginning with a letter or digit; at most 100 characters.",
    }),
    role: t.Union(roles.map((role) => t.Literal(role))),
    expires_in_seconds: t.Optional(t.Integer({ minimum: 60, maximum: 10 * 365 * 86400 })),
  },
  { additionalProperties: false },
);

const AdminTokenAnswer = t.Object(
  {
    id: Id,
    name: t.String(),
    role: NewAdminToken.properties.role,
    created_at: Time,
    expires_at: nullable(Time),
    revoked_at: nullable(Time),
  },
  { title: "AdminToken" },
);
const AuditAnswer = t.Object(
  {
    id: Id,
    at: Time,
    actor: t.String({ description: "admin:NAME:ID, node:ID or anonymous." }),
    actor_role: t.String(),
    address: t.String(),
    action: t.String({ description: "For example group.create." }),
    resource_id: t.Optional(t.String()),
    result: t.String({ description: "ok, or the code of the refusal." }),
    details: t.Record(t.String(), t.Unknown()),
  },
  { title: "AuditRow" },
);

export function adminRoutes(services: Services): AnyElysia[] {
  const { store, now } = services;
  const tokens = createRoutes("/api/v1/admin-tokens", "administration")
    .post(
      "",
      async ({ request, body, set }) => {
        const secret = createRoleToken(body.role);
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
      {
        body: NewAdminToken,
        detail: operation("Create a bearer token; its value is shown only here", {
          201: t.Composite([AdminTokenAnswer, t.Object({ token: t.String() })]),
        }),
      },
    )
    .get("", async () => (await store.adminTokens.list()).map(toAnswer), {
      detail: operation("All bearer tokens, without their values", { 200: t.Array(AdminTokenAnswer) }),
    })
    .delete(
      "/:id",
      async ({ request, params: { id }, set }) => {
        await services.change(request, { action: "admin-token.revoke", resourceId: id }, async (tx) => {
          if (!(await tx.adminTokens.revoke(id, now()))) missing("admin token", id);
        });
        set.status = 204;
      },
      { params: IdParams, detail: operation("Revoke a bearer token", nothing) },
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
    {
      query: t.Object(pageFields, { additionalProperties: false }),
      detail: operation("Every change and every refusal, the newest first", { 200: ListOf(AuditAnswer) }),
    },
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
