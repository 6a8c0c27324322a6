import { Type as t } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { NotFoundError } from "../../protocol/errors.ts";
import type { Lifetime } from "../store/columns.ts";
import type { Listing, Page } from "../store/rows.ts";

/** Unknown fields are errors, never dropped in silence. */
export const createRoutes = <const Prefix extends string>(prefix: Prefix, tag: string) =>
  new Elysia({ prefix, tags: [tag], normalize: false });

export const Id = t.String({
  pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  description: "A UUID.",
});
export const IdParams = t.Object({ id: Id });
export const IdBody = t.Object({ id: Id }, { additionalProperties: false });

// Patterns and not Elysia's coercing types: those know a refusal by the name of its class, which minifying changes, and
// the compiled program let page=0 and limit=5000 pass.
export const pageFields = {
  page: t.Optional(t.String({ pattern: "^[1-9]\\d{0,8}$", description: "From 1." })),
  limit: t.Optional(t.String({ pattern: "^(?:[1-9]\\d{0,2}|1000)$", description: "From 1 to 1000; default 20." })),
};
export const BooleanText = t.Union([t.Literal("true"), t.Literal("false")]);
export const deletedField = { deleted: t.Optional(BooleanText) };

/** What a BooleanText of a query says; undefined where it is absent. */
export const toBoolean = (text: "true" | "false" | undefined): boolean | undefined =>
  text === undefined ? undefined : text === "true";

interface PageQuery {
  readonly page?: string | undefined;
  readonly limit?: string | undefined;
}

/** With `page` or `limit` an envelope with the total, otherwise the bare list of everything; X-Total-Count on both. */
export async function listing<T, U>(
  { page, limit }: PageQuery,
  set: { headers: Record<string, string | number> },
  source: {
    readonly fetch: (page: Page) => Promise<Listing<T>>;
    readonly map: (items: readonly T[]) => U[] | Promise<U[]>;
  },
) {
  if (page === undefined && limit === undefined) {
    const { items, total } = await source.fetch({ limit: 1_000_000_000, offset: 0 });
    set.headers["x-total-count"] = String(total);
    return source.map(items);
  }
  const size = Number(limit ?? 20);
  const number = Number(page ?? 1);
  const { items, total } = await source.fetch({ limit: size, offset: (number - 1) * size });
  set.headers["x-total-count"] = String(total);
  return {
    data: await source.map(items),
    pagination: { page: number, limit: size, total, total_pages: Math.ceil(total / size) },
  };
}

export function missing(resource: string, id: string): never {
  throw new NotFoundError(`no ${resource} ${id}`, { details: { resource, id } });
}

/** A row as it is told: its times in ISO 8601. */
export function withTimes<T extends Lifetime>(
  row: T,
): Omit<T, keyof Lifetime> & { created_at: string; updated_at: string; deleted_at?: string } {
  const { created_at, updated_at, deleted_at, ...rest } = row;
  return {
    ...rest,
    created_at: toIso(created_at),
    updated_at: toIso(updated_at),
    ...(deleted_at === undefined ? {} : { deleted_at: toIso(deleted_at) }),
  };
}

export const toIso = (timeMs: number): string => new Date(timeMs).toISOString();
export const toIsoOrNull = (timeMs: number | undefined): string | null => (timeMs === undefined ? null : toIso(timeMs));
