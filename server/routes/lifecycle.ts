import { Type as t } from "@sinclair/typebox";
import { type AnyElysia, Elysia } from "elysia";
import type { Services } from "../context.ts";
import { nothing, operation } from "../http/operation.ts";
import type { Tables } from "../store/store.ts";
import { Id, missing } from "./common.ts";

/** A store whose rows are deleted softly. */
interface SoftDeleted {
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
}

export interface Lifecycle {
  /** For example `group`; names audit rows and messages. */
  readonly resource: string;
  readonly table: (tx: Tables) => SoftDeleted;
  readonly idSchema?: typeof Id;
  /** What has to be true before; throws where it is not. */
  readonly beforeDelete?: (tx: Tables, id: string) => Promise<void>;
  readonly beforeRestore?: (tx: Tables, id: string) => Promise<void>;
}

/** POST delete, restore, purge with `{id}` and DELETE by id; 204, or 404 when there was nothing to do it to. */
export function lifecycleRoutes(
  services: Services,
  { resource, table, idSchema = Id, beforeDelete, beforeRestore }: Lifecycle,
): AnyElysia {
  const body = t.Object({ id: idSchema }, { additionalProperties: false });
  const act =
    (verb: string, work: (tx: Tables, id: string) => Promise<boolean>) =>
    async (request: Request, id: string, set: { status?: number | string }) => {
      await services.change(request, { action: `${resource}.${verb}`, resourceId: id }, async (tx) => {
        if (!(await work(tx, id))) missing(resource, id);
      });
      services.nodes.forget();
      set.status = 204;
    };
  const onDelete = act("delete", async (tx, id) => {
    await beforeDelete?.(tx, id);
    return table(tx).setDeleted(id, services.now());
  });
  const onRestore = act("restore", async (tx, id) => {
    await beforeRestore?.(tx, id);
    return table(tx).setDeleted(id, undefined);
  });
  const onPurge = act("purge", (tx, id) => table(tx).purge(id));
  return new Elysia({ normalize: false })
    .post("/delete", ({ request, body: { id }, set }) => onDelete(request, id, set), {
      body,
      detail: operation(`Delete a ${resource}; it can be restored`, nothing),
    })
    .post("/restore", ({ request, body: { id }, set }) => onRestore(request, id, set), {
      body,
      detail: operation(`Restore a deleted ${resource}`, nothing),
    })
    .post("/purge", ({ request, body: { id }, set }) => onPurge(request, id, set), {
      body,
      detail: operation(`Remove a deleted ${resource} for good`, nothing),
    })
    .delete("/:id", ({ request, params: { id }, set }) => onDelete(request, id, set), {
      params: t.Object({ id: idSchema }),
      detail: operation(`Delete a ${resource}; it can be restored`, nothing),
    });
}
