import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import {
  createBootstrapToken,
  createTokenId,
  hashCredential,
  parseBootstrapToken,
} from "../../protocol/bootstrap-token.ts";
import { UnauthorizedError, ValidationError } from "../../protocol/errors.ts";
import { StringMap } from "../../protocol/registration.ts";
import type { Services } from "../context.ts";
import { lifetime, ListOf, nullable, operation, Time } from "../http/operation.ts";
import { compact } from "../store/rows.ts";
import type { Tables } from "../store/store.ts";
import type { TokenRecord } from "../store/tokens.ts";
import { createRoutes, deletedField, Id, listing, missing, pageFields, toBoolean, toIso } from "./common.ts";
import { lifecycleRoutes } from "./lifecycle.ts";

const TokenId = t.String({ pattern: "^[a-z2-7]{10}$", description: "The ten characters behind aami_bootstrap_." });
const TokenParams = t.Object({ id: TokenId });
const Timestamp = t.String({
  pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?(?:Z|[+-]\\d\\d:\\d\\d)$",
  description: "A time as 2026-12-31T23:59:59Z (RFC 3339), with its time zone.",
});
// A group that was numbered elsewhere gives a plain "no such group" instead of a type error.
const GroupId = t.Union([t.String({ maxLength: 64 }), t.Integer()]);
const settings = {
  name: t.Optional(t.String({ minLength: 1, maxLength: 255 })),
  description: t.Optional(t.String({ maxLength: 1024 })),
  default_group_id: t.Optional(t.Union([GroupId, t.Null()])),
  allowed_group_ids: t.Optional(t.Array(Id, { maxItems: 64 })),
  labels: t.Optional(StringMap),
  expires_at: t.Optional(Timestamp),
  max_uses: t.Optional(t.Integer({ minimum: 1, maximum: 10_000_000 })),
};
const NewToken = t.Object(
  {
    token: t.Optional(t.String({ maxLength: 256, description: "Your own secret; left out, one is made." })),
    ...settings,
  },
  { additionalProperties: false },
);
const TokenChange = t.Object(settings, { additionalProperties: false });
const Presented = t.Object({ token: t.String({ minLength: 1, maxLength: 512 }) }, { additionalProperties: false });
const TokenState = t.Union(["valid", "revoked", "expired", "exhausted"].map((state) => t.Literal(state)));
const TokenAnswer = t.Object(
  {
    id: TokenId,
    name: t.String(),
    description: t.String(),
    default_group_id: nullable(Id),
    allowed_group_ids: t.Array(Id),
    labels: StringMap,
    max_uses: t.Integer(),
    uses: t.Integer(),
    remaining_uses: t.Integer(),
    expires_at: Time,
    state: TokenState,
    is_valid: t.Boolean(),
    ...t.Omit(t.Object(lifetime), ["deleted_at"]).properties,
  },
  { title: "BootstrapToken" },
);
const SecretAnswer = t.Composite([TokenAnswer, t.Object({ token: t.String(), server_fingerprint: t.String() })], {
  title: "BootstrapTokenWithSecret",
});
const ValidAnswer = t.Object({
  valid: t.Literal(true),
  id: TokenId,
  remaining_uses: t.Integer(),
  expires_at: Time,
});
const dayMs = 24 * 3600 * 1000;

export function tokenRoutes(
  services: Services,
  prefix: "/api/v1/bootstrap-tokens" | "/api/v1/bootstrap/tokens",
): AnyElysia {
  const { store, now, identity } = services;
  const existing = async (id: string) => (await store.tokens.get(id)) ?? missing("bootstrap token", id);
  const answer = (token: TokenRecord) => toTokenAnswer(token, now());
  return createRoutes(prefix, "bootstrap tokens")
    .post(
      "",
      async ({ request, body, set }) => {
        const { token: chosen, ...input } = body;
        const secret = chosen === undefined ? createBootstrapToken(identity.signingKey.id) : fromChosen(chosen);
        const token = await createToken(store, { ...secret, input, nowMs: now() });
        const change = {
          action: "token.create",
          resourceId: token.id,
          details: { name: token.name, max_uses: token.max_uses },
        };
        await services.change(request, change, (tx) => tx.tokens.create(token));
        set.status = 201;
        return { ...answer(token), token: secret.token, server_fingerprint: identity.signingKey.id };
      },
      {
        body: NewToken,
        detail: operation("Create a bootstrap token; its value is shown only here", { 201: SecretAnswer }),
      },
    )
    .get(
      "",
      ({ query, set }) => {
        const { deleted } = query;
        return listing(query, set, {
          fetch: (page) => store.tokens.list(page, compact({ deleted: toBoolean(deleted) })),
          map: (items) => items.map(answer),
        });
      },
      {
        query: t.Object({ ...pageFields, ...deletedField }, { additionalProperties: false }),
        detail: operation("Bootstrap tokens, the newest first", { 200: ListOf(TokenAnswer) }),
      },
    )
    .post(
      "/validate",
      async ({ request, body }) => {
        const { address } = services.callerOf(request);
        services.registrationLimit.attempts.take(address);
        const token = await store.tokens.findByHash(hashCredential(parseBootstrapToken(body.token).credential));
        if (token === undefined) throw new UnauthorizedError("TOKEN_INVALID", "no such bootstrap token");
        const { state, remaining_uses, expires_at } = answer(token);
        if (state !== "valid") throw new UnauthorizedError(refusals[state], `the bootstrap token is ${state}`);
        return { valid: true, id: token.id, remaining_uses, expires_at };
      },
      { body: Presented, detail: operation("Is this token good? Takes no use", { 200: ValidAnswer }) },
    )
    .get("/:id", async ({ params: { id } }) => answer(await existing(id)), {
      params: TokenParams,
      detail: operation("One bootstrap token, without its value", { 200: TokenAnswer }),
    })
    .put(
      "/:id",
      async ({ request, params: { id }, body }) => {
        const old = await existing(id);
        const token = { ...old, ...(await readSettings(store, body, now())), updated_at: now() };
        if (body.default_group_id === null) delete (token as { default_group_id?: string }).default_group_id;
        await services.change(request, { action: "token.update", resourceId: id }, (tx) => tx.tokens.update(token));
        return answer(await existing(id));
      },
      {
        params: TokenParams,
        body: TokenChange,
        detail: operation("Edit; what is left out stays", { 200: TokenAnswer }),
      },
    )
    .post(
      "/:id/rotate",
      async ({ request, params: { id } }) => {
        const secret = createBootstrapToken(identity.signingKey.id, id);
        const hash = hashCredential(secret.credential);
        await services.change(request, { action: "token.rotate", resourceId: id }, async (tx) => {
          if (!(await tx.tokens.rotate(id, hash, now()))) missing("bootstrap token", id);
        });
        return { ...answer(await existing(id)), token: secret.token, server_fingerprint: identity.signingKey.id };
      },
      {
        params: TokenParams,
        detail: operation("Replace the secret; the old one is void at once", { 200: SecretAnswer }),
      },
    )
    .post(
      "/:id/revoke",
      async ({ request, params: { id } }) => {
        await services.change(request, { action: "token.revoke", resourceId: id }, async (tx) => {
          if (!(await tx.tokens.revoke(id, now()))) missing("bootstrap token", id);
        });
        return answer(await existing(id));
      },
      { params: TokenParams, detail: operation("Refuse the token from now on", { 200: TokenAnswer }) },
    )
    .use(lifecycleRoutes(services, { resource: "bootstrap token", table: (tx) => tx.tokens, idSchema: TokenId }));
}

const refusals = { expired: "TOKEN_EXPIRED", exhausted: "TOKEN_EXHAUSTED", revoked: "TOKEN_REVOKED" } as const;

function fromChosen(token: string): { id: string; credential: string; token: string } {
  const { id, credential } = parseBootstrapToken(token);
  if (id !== undefined)
    throw new ValidationError("token: the form aami_bootstrap_… is made by the server only", {
      details: { field: "token" },
    });
  return { id: createTokenId(), credential, token };
}

type Settings = Partial<
  Pick<
    TokenRecord,
    "name" | "description" | "default_group_id" | "allowed_groups" | "labels" | "expires_at" | "max_uses"
  >
>;
type SettingsInput = (typeof TokenChange)["static"];

/** Defaults are short and single-use: a token that leaks should be worth little. */
async function createToken(
  store: Tables,
  { id, credential, input, nowMs }: { id: string; credential: string; input: SettingsInput; nowMs: number },
): Promise<TokenRecord> {
  const given = await readSettings(store, input, nowMs);
  return {
    ...given,
    id,
    hash: hashCredential(credential),
    name: given.name ?? given.description?.slice(0, 255) ?? id,
    description: given.description ?? "",
    allowed_groups: given.allowed_groups ?? [],
    labels: given.labels ?? {},
    expires_at: given.expires_at ?? nowMs + dayMs,
    max_uses: given.max_uses ?? 1,
    uses: 0,
    created_at: nowMs,
    updated_at: nowMs,
  };
}

async function readSettings(
  store: Tables,
  { default_group_id, allowed_group_ids, expires_at, ...rest }: SettingsInput,
  nowMs: number,
): Promise<Settings> {
  const group = default_group_id === undefined || default_group_id === null ? undefined : String(default_group_id);
  const allowed = allowed_group_ids ?? [];
  for (const id of group === undefined ? allowed : [group, ...allowed]) {
    if ((await store.groups.get(id)) === undefined) {
      throw new ValidationError(`no group ${id}`, {
        details: { field: id === group ? "default_group_id" : "allowed_group_ids" },
      });
    }
  }
  const expiresAt = expires_at === undefined ? undefined : Date.parse(expires_at);
  if (expiresAt !== undefined && !(expiresAt > nowMs))
    throw new ValidationError("expires_at: not in the future", { details: { field: "expires_at" } });
  return compact<Settings>({
    ...rest,
    default_group_id: group,
    allowed_groups: allowed_group_ids,
    expires_at: expiresAt,
  });
}

function stateOf({ revoked_at, expires_at, uses, max_uses }: TokenRecord, nowMs: number) {
  if (revoked_at !== undefined) return "revoked";
  if (expires_at <= nowMs) return "expired";
  return uses >= max_uses ? "exhausted" : "valid";
}

/** Everything but the secret and its hash. */
function toTokenAnswer(token: TokenRecord, nowMs: number) {
  const state = stateOf(token, nowMs);
  return {
    id: token.id,
    name: token.name,
    description: token.description,
    default_group_id: token.default_group_id ?? null,
    allowed_group_ids: token.allowed_groups,
    labels: token.labels,
    max_uses: token.max_uses,
    uses: token.uses,
    remaining_uses: Math.max(0, token.max_uses - token.uses),
    expires_at: toIso(token.expires_at),
    state,
    is_valid: state === "valid",
    created_at: toIso(token.created_at),
    updated_at: toIso(token.updated_at),
  } as const;
}
