import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { ConflictError } from "../../protocol/errors.ts";
import { sha256Hex } from "../../protocol/keys.ts";
import type { Services } from "../context.ts";
import { changeScript, checkScript, createScript, NewScript, ScriptAnswer, ScriptChange } from "../domain/script.ts";
import { lifetime, ListOf, operation } from "../http/operation.ts";
import { compact } from "../store/rows.ts";
import type { Tables } from "../store/store.ts";
import type { Template } from "../store/templates.ts";
import {
  createRoutes,
  deletedField,
  Id,
  IdParams,
  listing,
  missing,
  pageFields,
  toBoolean,
  withTimes,
} from "./common.ts";
import { lifecycleRoutes } from "./lifecycle.ts";

const TemplateAnswer = t.Object({ id: Id, ...ScriptAnswer.properties, ...lifetime }, { title: "ScriptTemplate" });
const TemplateSummary = t.Omit(TemplateAnswer, ["script_content", "default_config"], {
  title: "ScriptTemplateSummary",
});

export function templateRoutes(services: Services): AnyElysia {
  const { store, now } = services;
  const existing = async (id: string) => (await store.templates.get(id)) ?? missing("script template", id);
  return createRoutes("/api/v1/script-templates", "script templates")
    .post(
      "",
      async ({ request, body, set }) => {
        const template: Template = {
          ...createScript(body),
          id: Bun.randomUUIDv7(),
          created_at: now(),
          updated_at: now(),
        };
        checkScript(template, template.default_config);
        const change = {
          action: "template.create",
          resourceId: template.id,
          details: { name: template.name, hash: template.hash },
        };
        await services.change(request, change, (tx) => tx.templates.create(template));
        set.status = 201;
        return withTimes(template);
      },
      { body: NewScript, detail: operation("Create a reusable script", { 201: TemplateAnswer }) },
    )
    .get(
      "",
      ({ query, set }) => {
        const { deleted, script_type: scriptType } = query;
        const fetch = (page: { limit: number; offset: number }) =>
          store.templates.list(page, compact({ deleted: toBoolean(deleted), scriptType }));
        return listing(query, set, { fetch, map: (items) => items.map(toSummary) });
      },
      {
        query: t.Object(
          { ...pageFields, ...deletedField, script_type: t.Optional(t.String()) },
          { additionalProperties: false },
        ),
        detail: operation("Templates by name, without their scripts", { 200: ListOf(TemplateSummary) }),
      },
    )
    .get(
      "/name/:name",
      async ({ params: { name } }) =>
        withTimes((await store.templates.findByName(name)) ?? missing("script template", name)),
      { detail: operation("One template, by name", { 200: TemplateAnswer }) },
    )
    .get("/:id", async ({ params: { id } }) => withTimes(await existing(id)), {
      params: IdParams,
      detail: operation("One template", { 200: TemplateAnswer }),
    })
    .get(
      "/:id/verify-hash",
      async ({ params: { id } }) => {
        const { hash, script_content } = await existing(id);
        return { template_id: id, hash_valid: sha256Hex(script_content) === hash };
      },
      {
        params: IdParams,
        detail: operation("Is the stored script still the one of its hash?", {
          200: t.Object({ template_id: Id, hash_valid: t.Boolean() }),
        }),
      },
    )
    .put(
      "/:id",
      async ({ request, params: { id }, body }) => {
        const old = await existing(id);
        const template: Template = { ...changeScript(old, body), id, created_at: old.created_at, updated_at: now() };
        checkScript(template, template.default_config);
        await services.change(
          request,
          { action: "template.update", resourceId: id, details: { hash: template.hash } },
          (tx) => tx.templates.update(template),
        );
        return withTimes(template);
      },
      {
        params: IdParams,
        body: ScriptChange,
        detail: operation("Edit; policies that copied it stay as they are", { 200: TemplateAnswer }),
      },
    )
    .use(
      lifecycleRoutes(services, {
        resource: "script template",
        table: (tx) => tx.templates,
        beforeDelete: assertNotCopied,
      }),
    );
}

async function assertNotCopied(tx: Tables, id: string): Promise<void> {
  const policies = await tx.templates.countPolicies(id);
  if (policies > 0) throw new ConflictError("IN_USE", `${policies} policies come from this template`, { policies });
}

function toSummary(template: Template) {
  const { script_content: _content, default_config: _config, ...summary } = withTimes(template);
  return summary;
}
