import { Type as t } from "@sinclair/typebox";
import type { AnyElysia } from "elysia";
import { ValidationError } from "../../protocol/errors.ts";
import type { Services } from "../context.ts";
import { type DiscoveryFilter, toDiscovery } from "../domain/discovery.ts";
import { readLabels } from "../domain/labels.ts";
import { compact } from "../store/rows.ts";
import { operation } from "../http/operation.ts";
import { BooleanText, createRoutes, Id, IdParams } from "./common.ts";

const query = t.Object(
  {
    status: t.Optional(t.Union([t.Literal("active"), t.Literal("inactive"), t.Literal("down")])),
    exporter_type: t.Optional(t.String({ maxLength: 64 })),
    group_id: t.Optional(Id),
    labels: t.Optional(t.String({ maxLength: 4096 })),
    enabled_only: t.Optional(BooleanText),
    shard: t.Optional(t.String({ pattern: "^\\d{1,4}/\\d{1,4}$", description: "i/n, i from 0 to n-1." })),
  },
  { additionalProperties: false },
);
const DiscoveredTarget = t.Object(
  { targets: t.Array(t.String(), { description: "host:port" }), labels: t.Record(t.String(), t.String()) },
  { title: "DiscoveredTarget" },
);
const detail = operation("Targets for http_sd_configs", { 200: t.Array(DiscoveredTarget) });
type Query = (typeof query)["static"];

/** Prometheus HTTP service discovery. `/active` is the name that older configurations use. */
export function discoveryRoutes({ store }: Services): AnyElysia {
  const discover = async ({
    status,
    exporter_type: exporterType,
    group_id: groupId,
    labels,
    enabled_only,
    shard,
  }: Query) => {
    const filter = compact({ status, groupId, labels: readLabels(labels) });
    const [targets, groups] = await Promise.all([
      store.targets.list(filter, { limit: 1_000_000_000, offset: 0 }),
      store.groups.list({}, { limit: 1_000_000_000, offset: 0 }),
    ]);
    const byId = new Map(groups.items.map((group) => [group.id, group]));
    const all = enabled_only === "false" || status === "inactive";
    return toDiscovery(targets.items, byId, compact<DiscoveryFilter>({ exporterType, all, shard: readShard(shard) }));
  };
  return createRoutes("/api/v1/sd/prometheus", "service discovery")
    .get("", ({ query: given }) => discover(given), { query, detail })
    .get("/active", ({ query: given }) => discover(given), { query, detail })
    .get("/group/:id", ({ params: { id }, query: given }) => discover({ ...given, group_id: id }), {
      params: IdParams,
      query,
      detail,
    });
}

function readShard(text: string | undefined): DiscoveryFilter["shard"] {
  if (text === undefined) return undefined;
  const [index = 0, count = 0] = text.split("/").map(Number);
  if (index < count) return { index, count };
  throw new ValidationError("shard: i/n with i from 0 to n-1 is expected", { details: { field: "shard" } });
}
