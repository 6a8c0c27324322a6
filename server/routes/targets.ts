import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { isIP } from "node:net";
import { ValidationError } from "../../protocol/errors.ts";
import { Exporter, GroupPath, GroupReference, Hostname, StringMap } from "../../protocol/registration.ts";
import type { Services } from "../context.ts";
import { toExporters } from "../domain/exporters.ts";
import { groupKeyOf, toGroupReference } from "../domain/groups.ts";
import { readLabels } from "../domain/labels.ts";
import { lifetime, ListOf, nothing, nullable, operation, Time } from "../http/operation.ts";
import { fallbackGroup } from "../registration.ts";
import { compact } from "../store/rows.ts";
import type { Tables } from "../store/store.ts";
import type { Target } from "../store/targets.ts";
import {
  createRoutes,
  deletedField,
  Id,
  IdParams,
  listing,
  missing,
  pageFields,
  toBoolean,
  toIso,
  toIsoOrNull,
} from "./common.ts";
import { lifecycleRoutes } from "./lifecycle.ts";

const AdminStatus = t.Union([t.Literal("active"), t.Literal("inactive"), t.Literal("down")]);
const NewTarget = t.Object(
  {
    hostname: Hostname,
    ip_address: t.String({ maxLength: 64 }),
    primary_group_id: t.Optional(Id),
    primary_group: t.Optional(GroupPath),
    secondary_group_ids: t.Optional(t.Array(Id, { maxItems: 32 })),
    exporters: t.Optional(t.Array(Exporter, { maxItems: 16 })),
    labels: t.Optional(StringMap),
    metadata: t.Optional(StringMap),
    status: t.Optional(AdminStatus),
  },
  { additionalProperties: false },
);
const TargetChange = t.Partial(NewTarget, { additionalProperties: false });
type TargetInput = (typeof TargetChange)["static"];

const filters = {
  hostname: t.Optional(t.String({ maxLength: 253 })),
  status: t.Optional(AdminStatus),
  group_id: t.Optional(Id),
  exporter_type: t.Optional(t.String({ maxLength: 64 })),
  labels: t.Optional(t.String({ maxLength: 4096, description: 'A JSON object, for example {"rack":"r1"}.' })),
};

const Facts = t.Record(t.String(), t.Unknown());
const TargetAnswer = t.Object(
  {
    id: Id,
    hostname: Hostname,
    ip_address: t.String(),
    status: AdminStatus,
    primary_group_id: nullable(Id),
    groups: t.Array(GroupReference),
    exporters: t.Array(t.Composite([t.Object({ id: Id }), Exporter])),
    labels: StringMap,
    metadata: StringMap,
    inventory: Facts,
    instance_id: nullable(t.String()),
    daemon_version: nullable(t.String()),
    key_id: nullable(t.String({ description: "Fingerprint of the node's key; null of a target without one." })),
    applied_revision: nullable(t.String({ description: "epoch.version of the bundle it runs." })),
    report: nullable(Facts),
    last_seen: nullable(Time),
    ...lifetime,
  },
  { title: "Target" },
);
const Count = t.Integer({ minimum: 0 });
const Summary = t.Object(
  { active: Count, inactive: Count, down: Count, total: Count, waiting_polls: Count },
  { title: "TargetCounts" },
);

export function targetRoutes(services: Services): AnyElysia {
  const { store, now } = services;
  const existing = async (id: string) => (await store.targets.get(id)) ?? missing("target", id);
  const answers = (targets: readonly Target[]) => toAnswers(store, targets);
  const answer = async (target: Target) => (await answers([target]))[0] ?? missing("target", target.id);
  const save = async (request: Request, target: Target, { action, moved }: { action: string; moved: boolean }) => {
    await services.change(
      request,
      { action, resourceId: target.id, details: { hostname: target.hostname } },
      async (tx) => {
        await (action === "target.create" ? tx.targets.create(target) : tx.targets.update(target));
        // A node that joins a set of groups may hold a newer version than the set's bundle has.
        if (moved) await tx.bundles.forget(target.group_key);
      },
    );
    services.nodes.forget(target.id);
    return answer(target);
  };

  return createRoutes("/api/v1/targets", "targets")
    .post(
      "",
      async ({ request, body, set }) => {
        const groupIds = await readGroups(store, body, []);
        set.status = 201;
        const target: Target = {
          id: Bun.randomUUIDv7(),
          hostname: body.hostname,
          ip_address: readAddress(body.ip_address),
          status: body.status ?? "active",
          labels: body.labels ?? {},
          metadata: body.metadata ?? {},
          inventory: {},
          group_key: groupKeyOf(groupIds),
          group_ids: groupIds,
          exporters: toExporters(body.exporters ?? []),
          created_at: now(),
          updated_at: now(),
        };
        return save(request, target, { action: "target.create", moved: false });
      },
      { body: NewTarget, detail: operation("Add a target by hand, with its exporters", { 201: TargetAnswer }) },
    )
    .get(
      "",
      ({ query, set }) => {
        const { hostname, status, group_id: groupId, exporter_type: exporterType, labels, deleted } = query;
        const filter = compact({
          hostname,
          status,
          groupId,
          exporterType,
          deleted: toBoolean(deleted),
          labels: readLabels(labels),
        });
        return listing(query, set, { fetch: (page) => store.targets.list(filter, page), map: answers });
      },
      {
        query: t.Object({ ...pageFields, ...deletedField, ...filters }, { additionalProperties: false }),
        detail: operation("Targets by host name", { 200: ListOf(TargetAnswer) }),
      },
    )
    .get(
      "/summary",
      async () => {
        const counts = await store.targets.countByStatus();
        return {
          ...counts,
          total: counts.active + counts.inactive + counts.down,
          waiting_polls: services.polls.waiting(),
        };
      },
      { detail: operation("How many targets are active, inactive, down", { 200: Summary }) },
    )
    .get(
      "/hostname/:hostname",
      async ({ params: { hostname } }) =>
        answer((await store.targets.findByHostname(hostname)) ?? missing("target", hostname)),
      { detail: operation("One target, by host name", { 200: TargetAnswer }) },
    )
    .get(
      "/group/:id",
      async ({ params: { id } }) =>
        answers((await store.targets.list({ groupId: id }, { limit: 1_000_000, offset: 0 })).items),
      { params: IdParams, detail: operation("Targets of a group", { 200: t.Array(TargetAnswer) }) },
    )
    .get("/:id", async ({ params: { id } }) => answer(await existing(id)), {
      params: IdParams,
      detail: operation("One target", { 200: TargetAnswer }),
    })
    .put(
      "/:id",
      async ({ request, params: { id }, body }) => {
        const old = await existing(id);
        const groupIds = await readGroups(store, body, old.group_ids);
        const target: Target = {
          ...old,
          ...compact({ hostname: body.hostname, status: body.status, labels: body.labels, metadata: body.metadata }),
          ip_address: body.ip_address === undefined ? old.ip_address : readAddress(body.ip_address),
          exporters: body.exporters === undefined ? old.exporters : toExporters(body.exporters),
          group_ids: groupIds,
          group_key: groupKeyOf(groupIds),
          updated_at: now(),
        };
        return save(request, target, { action: "target.update", moved: target.group_key !== old.group_key });
      },
      {
        params: IdParams,
        body: TargetChange,
        detail: operation("Edit; maps and exporters are replaced as a whole", { 200: TargetAnswer }),
      },
    )
    .post(
      "/:id/status",
      async ({ request, params: { id }, body: { status }, set }) => {
        await save(
          request,
          { ...(await existing(id)), status, updated_at: now() },
          { action: "target.status", moved: false },
        );
        set.status = 204;
      },
      {
        params: IdParams,
        body: t.Object({ status: AdminStatus }, { additionalProperties: false }),
        detail: operation("Take out of service, or back", nothing),
      },
    )
    .use(lifecycleRoutes(services, { resource: "target", table: (tx) => tx.targets }));
}

/** The primary group first; never empty. What the request leaves out stays. */
async function readGroups(store: Tables, input: TargetInput, present: readonly string[]): Promise<string[]> {
  const { primary_group_id: id, primary_group: path, secondary_group_ids: secondary } = input;
  if (id !== undefined && path !== undefined) fail("primary_group", "give either primary_group or primary_group_id");
  const byPath = async (wanted: string) =>
    (await store.groups.findByPath(wanted))?.id ?? fail("primary_group", `no group ${wanted}`);
  const primary = id ?? (path === undefined ? present[0] : await byPath(path)) ?? (await byPath(fallbackGroup));
  const groupIds = [...new Set([primary, ...(secondary ?? present.slice(1))])];
  const known = new Set((await store.groups.getMany(groupIds)).map((group) => group.id));
  const unknown = groupIds.find((groupId) => !known.has(groupId));
  if (unknown !== undefined)
    fail(unknown === primary ? "primary_group_id" : "secondary_group_ids", `no group ${unknown}`);
  return groupIds;
}

function readAddress(address: string): string {
  return isIP(address) === 0 ? fail("ip_address", "not an IP address") : address;
}

async function toAnswers(store: Tables, targets: readonly Target[]) {
  const groups = await store.groups.getMany([...new Set(targets.flatMap(({ group_ids }) => group_ids))]);
  const byId = new Map(groups.map((group) => [group.id, group]));
  return targets.map((target) => ({
    id: target.id,
    hostname: target.hostname,
    ip_address: target.ip_address,
    status: target.status,
    primary_group_id: target.group_ids[0] ?? null,
    groups: target.group_ids.flatMap((id) => byId.get(id) ?? []).map(toGroupReference),
    exporters: target.exporters,
    labels: target.labels,
    metadata: target.metadata,
    inventory: target.inventory,
    instance_id: target.instance_id ?? null,
    daemon_version: target.daemon_version ?? null,
    key_id: target.key_id ?? null,
    applied_revision: target.applied_revision ?? null,
    report: target.report ?? null,
    last_seen: toIsoOrNull(target.last_seen_at),
    created_at: toIso(target.created_at),
    updated_at: toIso(target.updated_at),
    ...(target.deleted_at === undefined ? {} : { deleted_at: toIso(target.deleted_at) }),
  }));
}

function fail(field: string, message: string): never {
  throw new ValidationError(`${field}: ${message}`, { details: { field } });
}
