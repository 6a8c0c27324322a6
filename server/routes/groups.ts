import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { ConflictError, NotFoundError, ValidationError } from "../../protocol/errors.ts";
import { GroupPath, StringMap } from "../../protocol/registration.ts";
import type { Services } from "../context.ts";
import { lifetime, ListOf, nullable, operation } from "../http/operation.ts";
import type { Group } from "../store/groups.ts";
import { compact } from "../store/rows.ts";
import type { Tables } from "../store/store.ts";
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

const Namespace = t.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,62}$",
  description: "Lower-case letters, digits, `_` and `-`; at most 63 characters.",
});
const Name = t.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
  description: "Letters, digits, `.`, `_` and `-`, beginning with a letter or digit; at most 100 characters.",
});
const Description = t.String({ maxLength: 500 });
const Priority = t.Integer({ minimum: 0, maximum: 1000, description: "Higher wins; default 100." });
const NewGroup = t.Object(
  {
    name: Name,
    namespace: t.Optional(Namespace),
    parent_id: t.Optional(Id),
    description: t.Optional(Description),
    priority: t.Optional(Priority),
    metadata: t.Optional(StringMap),
  },
  { additionalProperties: false },
);
const GroupChange = t.Partial(t.Omit(NewGroup, ["namespace", "parent_id"]), { additionalProperties: false });
const NewNamespace = t.Object(
  { name: Namespace, description: t.Optional(Description) },
  { additionalProperties: false },
);
const NamespaceAnswer = t.Object({ name: Namespace, description: t.String() }, { title: "Namespace" });
const GroupAnswer = t.Object(
  {
    id: Id,
    namespace: Namespace,
    name: Name,
    path: GroupPath,
    parent_id: nullable(Id),
    description: t.String(),
    priority: Priority,
    metadata: StringMap,
    ...lifetime,
  },
  { title: "Group" },
);
const maxDepth = 8;

export function groupRoutes(services: Services): AnyElysia {
  const { store, now } = services;
  const existing = async (id: string) => (await store.groups.get(id)) ?? missing("group", id);
  return createRoutes("/api/v1/groups", "groups")
    .post(
      "",
      async ({ request, body, set }) => {
        const { parent_id, namespace, ...rest } = body;
        const parent = parent_id === undefined ? undefined : await parentOf(store, parent_id, namespace);
        const group = createGroup({
          ...rest,
          namespace: await knownNamespace(store, parent?.namespace ?? namespace),
          parent,
          nowMs: now(),
        });
        const change = { action: "group.create", resourceId: group.id, details: { path: group.path } };
        await services.change(request, change, (tx) => tx.groups.create(group));
        set.status = 201;
        return toGroupAnswer(group);
      },
      { body: NewGroup, detail: operation("Create a group", { 201: GroupAnswer }) },
    )
    .get(
      "",
      ({ query, set }) => {
        const { namespace, parent_id: parentId, deleted } = query;
        return listing(query, set, {
          fetch: (page) => store.groups.list(compact({ namespace, parentId, deleted: toBoolean(deleted) }), page),
          map: (items) => items.map(toGroupAnswer),
        });
      },
      {
        query: t.Object(
          { ...pageFields, ...deletedField, namespace: t.Optional(Namespace), parent_id: t.Optional(Id) },
          { additionalProperties: false },
        ),
        detail: operation("Groups by path", { 200: ListOf(GroupAnswer) }),
      },
    )
    .get(
      "/resolve",
      async ({ query: { path } }) => toGroupAnswer((await store.groups.findByPath(path)) ?? missing("group", path)),
      {
        query: t.Object({ path: GroupPath }, { additionalProperties: false }),
        detail: operation("Find a group by namespace:path", { 200: GroupAnswer }),
      },
    )
    .get("/:id", async ({ params: { id } }) => toGroupAnswer(await existing(id)), {
      params: IdParams,
      detail: operation("One group", { 200: GroupAnswer }),
    })
    .get(
      "/:id/children",
      async ({ params: { id } }) => {
        const { items } = await store.groups.list({ parentId: (await existing(id)).id }, { limit: 100_000, offset: 0 });
        return items.map(toGroupAnswer);
      },
      { params: IdParams, detail: operation("The groups right below", { 200: t.Array(GroupAnswer) }) },
    )
    .put(
      "/:id",
      async ({ request, params: { id }, body }) => {
        const old = await existing(id);
        const name = body.name ?? old.name;
        const path = old.path.slice(0, old.path.length - old.name.length) + name;
        const group: Group = { ...old, ...compact(body), name, path, updated_at: now() };
        await services.change(request, { action: "group.update", resourceId: id, details: { path } }, (tx) =>
          tx.groups.update(group, old.path),
        );
        return toGroupAnswer(group);
      },
      {
        params: IdParams,
        body: GroupChange,
        detail: operation("Edit; a new name moves all groups below it", { 200: GroupAnswer }),
      },
    )
    .use(
      lifecycleRoutes(services, {
        resource: "group",
        table: (tx) => tx.groups,
        beforeDelete: assertUnused,
        beforeRestore: assertParent,
      }),
    );
}

export function namespaceRoutes(services: Services): AnyElysia {
  return createRoutes("/api/v1/namespaces", "groups")
    .get("", () => services.store.groups.namespaces(), {
      detail: operation("All namespaces", { 200: t.Array(NamespaceAnswer) }),
    })
    .post(
      "",
      async ({ request, body: { name, description = "" }, set }) => {
        const namespace = { name, description };
        await services.change(request, { action: "namespace.create", resourceId: name }, (tx) =>
          tx.groups.createNamespace(namespace, services.now()),
        );
        set.status = 201;
        return namespace;
      },
      { body: NewNamespace, detail: operation("Create a namespace", { 201: NamespaceAnswer }) },
    );
}

async function parentOf(store: Tables, id: string, namespace: string | undefined): Promise<Group> {
  const parent = await store.groups.get(id);
  if (parent === undefined) throw new ValidationError(`parent_id: no group ${id}`, { details: { field: "parent_id" } });
  if (namespace !== undefined && namespace !== parent.namespace) {
    throw new ValidationError(`namespace: the parent is in ${parent.namespace}`, { details: { field: "namespace" } });
  }
  if (parent.path.split("/").length >= maxDepth)
    throw new ValidationError(`parent_id: groups nest at most ${maxDepth} deep`, { details: { field: "parent_id" } });
  return parent;
}

async function knownNamespace(store: Tables, name: string | undefined): Promise<string> {
  const namespaces = await store.groups.namespaces();
  if (name !== undefined && namespaces.some((namespace) => namespace.name === name)) return name;
  const names = namespaces.map((namespace) => namespace.name).join(", ");
  const problem = name === undefined ? "is missing" : `no namespace ${name}`;
  throw new ValidationError(`namespace: ${problem}; there are ${names}`, { details: { field: "namespace" } });
}

interface GroupInput {
  readonly name: string;
  readonly namespace: string;
  readonly parent: Group | undefined;
  readonly description?: string;
  readonly priority?: number;
  readonly metadata?: Record<string, string>;
  readonly nowMs: number;
}

export function createGroup({
  name,
  namespace,
  parent,
  description = "",
  priority = 100,
  metadata = {},
  nowMs,
}: GroupInput): Group {
  const path = parent === undefined ? `${namespace}:${name}` : `${parent.path}/${name}`;
  const group = {
    id: Bun.randomUUIDv7(),
    namespace,
    name,
    path,
    description,
    priority,
    metadata,
    created_at: nowMs,
    updated_at: nowMs,
  };
  return parent === undefined ? group : { ...group, parent_id: parent.id };
}

/** Only an unused group can go: its members, policies and tokens would otherwise change meaning in silence. */
async function assertUnused(tx: Tables, id: string): Promise<void> {
  const usage = await tx.groups.usage(id);
  const users = Object.entries(usage).filter(([, count]) => count > 0);
  if (users.length > 0) {
    const list = users.map(([what, count]) => `${count} ${what}`).join(", ");
    throw new ConflictError("IN_USE", `the group still has ${list}`, { ...usage });
  }
}

async function assertParent(tx: Tables, id: string): Promise<void> {
  const group = await tx.groups.get(id, { deleted: true });
  if (group?.parent_id !== undefined && (await tx.groups.get(group.parent_id)) === undefined) {
    throw new NotFoundError("the parent of this group is deleted; restore it first", {
      details: { parent_id: group.parent_id },
    });
  }
}

const toGroupAnswer = (group: Group) => ({ ...withTimes(group), parent_id: group.parent_id ?? null });
