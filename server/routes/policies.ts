import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { ValidationError } from "../../protocol/errors.ts";
import { Value } from "@sinclair/typebox/value";
import type { Services } from "../context.ts";
import { mergeConfig, resolvePolicies } from "../domain/effective.ts";
import { pathsUpwards } from "../domain/groups.ts";
import {
  changeScript,
  checkScript,
  Config,
  createScript,
  NewScript,
  ScriptAnswer,
  scriptChanges,
  scriptFields,
} from "../domain/script.ts";
import { lifetime, ListOf, nullable, operation } from "../http/operation.ts";
import type { Policy } from "../store/policies.ts";
import { compact } from "../store/rows.ts";
import type { Tables } from "../store/store.ts";
import {
  BooleanText,
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

const Scope = t.Union([t.Literal("global"), t.Literal("group")]);
const Priority = t.Integer({ minimum: 0, maximum: 1000, description: "Higher wins; default 100." });
const placement = {
  scope: Scope,
  group_id: t.Optional(Id),
  config: t.Optional(Config),
  priority: t.Optional(Priority),
  is_active: t.Optional(t.Boolean({ description: "Default true." })),
};
// With template_id the script comes from the template; without it the script's own fields are needed.
const NewPolicy = t.Object(
  { template_id: t.Optional(Id), ...t.Partial(t.Object(scriptFields)).properties, ...placement },
  { additionalProperties: false },
);
const NewDirectPolicy = t.Object({ ...scriptFields, ...placement }, { additionalProperties: false });
const PolicyChange = t.Object(
  { ...scriptChanges, config: placement.config, priority: placement.priority, is_active: placement.is_active },
  { additionalProperties: false },
);
const PolicyAnswer = t.Object(
  {
    id: Id,
    ...ScriptAnswer.properties,
    scope: Scope,
    group_id: nullable(Id),
    config: Config,
    priority: Priority,
    is_active: t.Boolean(),
    template_id: t.Optional(Id),
    template_name: t.Optional(t.String()),
    template_version: t.Optional(t.String()),
    created_from_template_id: nullable(Id),
    created_from_template_name: nullable(t.String()),
    is_outdated: t.Boolean({ description: "The template's script is another one by now." }),
    ...lifetime,
  },
  { title: "ScriptPolicy" },
);
const PolicyAnswers = t.Array(PolicyAnswer);
type NewPolicy = (typeof NewPolicy)["static"];

const all = { limit: 1_000_000, offset: 0 };

export function policyRoutes(services: Services): AnyElysia {
  const { store, now } = services;
  const existing = async (id: string) => (await store.policies.get(id)) ?? missing("script policy", id);
  const answer = async (policy: Policy) => toPolicyAnswer(policy, await templateHash(store, policy));
  const answers = (policies: readonly Policy[]) => Promise.all(policies.map(answer));
  const create = async (request: Request, body: NewPolicy) => {
    const policy = await createPolicy(store, body, now());
    const details = { name: policy.name, scope: policy.scope, group_id: policy.group_id ?? null, hash: policy.hash };
    await services.change(request, { action: "policy.create", resourceId: policy.id, details }, (tx) =>
      tx.policies.create(policy),
    );
    return answer(policy);
  };
  const update = async (request: Request, policy: Policy, action: string) => {
    checkScript(policy, mergeConfig(policy));
    const details = { is_active: policy.is_active, priority: policy.priority, hash: policy.hash };
    await services.change(request, { action, resourceId: policy.id, details }, (tx) => tx.policies.update(policy));
    return answer(policy);
  };

  return createRoutes("/api/v1/script-policies", "script policies")
    .post(
      "",
      ({ request, body, set }) => {
        set.status = 201;
        return create(request, body);
      },
      { body: NewPolicy, detail: operation("Apply a template's script, or one of its own", { 201: PolicyAnswer }) },
    )
    .post(
      "/direct",
      ({ request, body, set }) => {
        set.status = 201;
        return create(request, body);
      },
      { body: NewDirectPolicy, detail: operation("Apply a script without a template", { 201: PolicyAnswer }) },
    )
    .get(
      "",
      ({ query, set }) => {
        const { scope, group_id: groupId, template_id: templateId, active, deleted } = query;
        return listing(query, set, {
          fetch: (page) =>
            store.policies.list(
              compact({ scope, groupId, templateId, active: toBoolean(active), deleted: toBoolean(deleted) }),
              page,
            ),
          map: answers,
        });
      },
      {
        query: t.Object(
          {
            ...pageFields,
            ...deletedField,
            scope: t.Optional(Scope),
            group_id: t.Optional(Id),
            template_id: t.Optional(Id),
            active: t.Optional(BooleanText),
          },
          { additionalProperties: false },
        ),
        detail: operation("Policies, the highest priority first", { 200: ListOf(PolicyAnswer) }),
      },
    )
    .get("/global", async () => answers((await store.policies.list({ scope: "global" }, all)).items), {
      detail: operation("Policies for everyone", { 200: PolicyAnswers }),
    })
    .get("/group/:id", async ({ params: { id } }) => answers((await store.policies.list({ groupId: id }, all)).items), {
      params: IdParams,
      detail: operation("Policies of a group", { 200: PolicyAnswers }),
    })
    .get(
      "/template/:id",
      async ({ params: { id } }) => answers((await store.policies.list({ templateId: id }, all)).items),
      { params: IdParams, detail: operation("Policies that copied a template", { 200: PolicyAnswers }) },
    )
    .get(
      "/effective/group/:id",
      async ({ params: { id } }) => {
        const group = (await store.groups.get(id)) ?? missing("group", id);
        const found = await Promise.all(pathsUpwards(group.path).map((path) => store.groups.findByPath(path)));
        const groups = found.filter((one) => one !== undefined);
        return answers(resolvePolicies(await store.policies.activeFor(groups.map((one) => one.id)), groups));
      },
      { params: IdParams, detail: operation("What a node in exactly this group runs", { 200: PolicyAnswers }) },
    )
    .get("/:id", async ({ params: { id } }) => answer(await existing(id)), {
      params: IdParams,
      detail: operation("One policy", { 200: PolicyAnswer }),
    })
    .put(
      "/:id",
      async ({ request, params: { id }, body }) => {
        const old = await existing(id);
        const { config, priority, is_active, ...script } = body;
        const changed = { ...old, ...changeScript(old, script) };
        return update(
          request,
          { ...withTiming(changed, script, old), ...compact({ config, priority, is_active }), updated_at: now() },
          "policy.update",
        );
      },
      {
        params: IdParams,
        body: PolicyChange,
        detail: operation("Edit; config is replaced as a whole", { 200: PolicyAnswer }),
      },
    )
    .post(
      "/:id/resync",
      async ({ request, params: { id } }) => {
        const old = await existing(id);
        const template = old.template_id === undefined ? undefined : await store.templates.get(old.template_id);
        if (template === undefined)
          throw new ValidationError("the policy has no template any more", { details: { field: "template_id" } });
        const { id: _id, created_at: _created, updated_at: _updated, deleted_at: _deleted, ...script } = template;
        const { interval_seconds: _interval, schedule: _schedule, ...kept } = old;
        return update(
          request,
          { ...kept, ...script, template_version: template.version, updated_at: now() },
          "policy.resync",
        );
      },
      { params: IdParams, detail: operation("Copy the template's present script again", { 200: PolicyAnswer }) },
    )
    .use(lifecycleRoutes(services, { resource: "script policy", table: (tx) => tx.policies }));
}

async function createPolicy(store: Tables, body: NewPolicy, nowMs: number): Promise<Policy> {
  const { template_id, scope, group_id, config = {}, priority = 100, is_active = true, ...fields } = body;
  if (scope === "global" && group_id !== undefined) fail("group_id", "a global policy has no group");
  if (scope === "group" && group_id === undefined) fail("group_id", "a group policy needs its group");
  if (group_id !== undefined && (await store.groups.get(group_id)) === undefined)
    fail("group_id", `no group ${group_id}`);
  const { script, origin } =
    template_id === undefined
      ? { script: createScript(asScript(fields)), origin: {} }
      : await copyTemplate(store, template_id, fields);
  const policy = compact<Policy>({
    ...script,
    ...origin,
    id: Bun.randomUUIDv7(),
    scope,
    group_id,
    config,
    priority,
    is_active,
    created_at: nowMs,
    updated_at: nowMs,
    deleted_at: undefined,
    template_id,
    template_name: undefined,
    template_version: undefined,
    ...origin,
  });
  checkScript(policy, mergeConfig(policy));
  return policy;
}

/** A snapshot: later edits of the template do not reach the policy. How often it runs may differ from the start. */
async function copyTemplate(store: Tables, templateId: string, fields: Partial<NewScript>) {
  const { interval_seconds, schedule, timeout_seconds, permissions, ...others } = fields;
  const [unexpected] = Object.keys(others);
  if (unexpected !== undefined) fail(unexpected, "comes from the template; leave it out or leave out template_id");
  const template = (await store.templates.get(templateId)) ?? fail("template_id", `no script template ${templateId}`);
  const { id: _id, created_at: _created, updated_at: _updated, deleted_at: _deleted, ...copy } = template;
  const change = compact<Parameters<typeof changeScript>[1]>({
    interval_seconds,
    schedule,
    timeout_seconds,
    permissions,
  });
  return {
    script: changeScript(copy, change),
    origin: { template_name: template.name, template_version: template.version },
  };
}

function asScript(given: Partial<NewScript>): NewScript {
  // A builtin check is in the daemon: there is no script to send, and nothing to say about its type.
  const builtin = { script_content: "", script_type: "builtin" };
  const fields = given.language === "builtin" ? { ...builtin, ...given } : given;
  if (Value.Check(NewScript, fields)) return fields;
  const fault = Value.Errors(NewScript, fields).First();
  return fail(fault?.path.slice(1) ?? "body", "is needed for a policy without template_id");
}

// changeScript drops the one of interval and schedule that was replaced; a spread would bring it back.
function withTiming(
  changed: Policy,
  { interval_seconds, schedule }: Partial<Record<"interval_seconds" | "schedule", unknown>>,
  old: Policy,
): Policy {
  if (interval_seconds === undefined && schedule === undefined) return changed;
  const { interval_seconds: _interval, schedule: _schedule, ...rest } = { ...old, ...changed };
  return {
    ...rest,
    ...(typeof interval_seconds === "number" ? { interval_seconds } : {}),
    ...(typeof schedule === "string" ? { schedule } : {}),
  };
}

async function templateHash(store: Tables, { template_id }: Policy): Promise<string | undefined> {
  return template_id === undefined ? undefined : (await store.templates.get(template_id))?.hash;
}

const toPolicyAnswer = (policy: Policy, currentHash: string | undefined) => ({
  ...withTimes(policy),
  group_id: policy.group_id ?? null,
  created_from_template_id: policy.template_id ?? null,
  created_from_template_name: policy.template_name ?? null,
  is_outdated: currentHash !== undefined && currentHash !== policy.hash,
});

function fail(field: string, message: string): never {
  throw new ValidationError(`${field}: ${message}`, { details: { field } });
}
