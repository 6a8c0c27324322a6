import type { SQL } from "bun";
import { ConflictError } from "../../protocol/errors.ts";
import type { Runner } from "./database.ts";
import {
  compact,
  flag,
  json,
  type Listing,
  number,
  optionalNumber,
  optionalText,
  type Page,
  type Row,
  text,
  unlessTaken,
} from "./rows.ts";
import { decodeScript, encodeScript, keepScript, type Script } from "./scripts.ts";

/** A copy of a script applied to everyone or to a group. */
export interface Policy extends Script {
  readonly id: string;
  /** Overrides default_config by top-level key. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly scope: "global" | "group";
  readonly group_id?: string;
  readonly priority: number;
  readonly is_active: boolean;
  readonly template_id?: string;
  readonly template_name?: string;
  readonly template_version?: string;
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at?: number;
}

export interface PolicyFilter {
  readonly scope?: "global" | "group";
  readonly groupId?: string;
  readonly templateId?: string;
  readonly active?: boolean;
  readonly deleted?: boolean;
}

export interface PolicyStore {
  /** Like update and restoring, a ConflictError when another active policy would tie with it: which of the two runs? */
  create(policy: Policy): Promise<void>;
  get(id: string, options?: { readonly deleted?: boolean }): Promise<Policy | undefined>;
  list(filter: PolicyFilter, page: Page): Promise<Listing<Policy>>;
  /** Active policies that are global or belong to one of these groups. */
  activeFor(groupIds: readonly string[]): Promise<Policy[]>;
  update(policy: Policy): Promise<void>;
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
  /** A script by its hash, whoever uses or used it. */
  script(hash: string): Promise<string | undefined>;
}

export function createPolicyStore({ read, write }: Runner): PolicyStore {
  return {
    create: (policy) =>
      write((sql) =>
        unlessTied(sql, policy, async () => {
          await keepScript(sql, policy, policy.created_at);
          await sql`INSERT INTO script_policies ${sql(encode(policy))}`;
        }),
      ),
    get: (id, { deleted = false } = {}) =>
      read(async (sql) => {
        const live = deleted ? sql`` : sql`AND p.deleted_at IS NULL`;
        const [row] = await select(sql, sql`p.id = ${id} ${live}`);
        return row === undefined ? undefined : decode(row);
      }),
    list: (filter, page) => read((sql) => list(sql, filter, page)),
    activeFor: (groupIds) =>
      read(async (sql) => {
        const scope =
          groupIds.length === 0
            ? sql`p.scope = 'global'`
            : sql`(p.scope = 'global' OR p.group_id IN ${sql([...groupIds])})`;
        return Array.from(
          await select(sql, sql`p.deleted_at IS NULL AND p.is_active = 1 AND ${scope} ORDER BY p.id`),
          decode,
        );
      }),
    update: (policy) =>
      write((sql) =>
        unlessTied(sql, policy, async () => {
          await keepScript(sql, policy, policy.updated_at);
          const { id, deleted_at: _deleted, ...columns } = encode(policy);
          await sql`UPDATE script_policies SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL`;
        }),
      ),
    setDeleted: (id, atMs) =>
      write(async (sql) => {
        if (atMs !== undefined) {
          const rows =
            await sql`UPDATE script_policies SET deleted_at = ${atMs} WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
          return rows.length === 1;
        }
        const [row] = await select(sql, sql`p.id = ${id} AND p.deleted_at IS NOT NULL`);
        if (row === undefined) return false;
        const restore = () => sql`UPDATE script_policies SET deleted_at = NULL WHERE id = ${id}`;
        await unlessTied(sql, decode(row), restore);
        return true;
      }),
    purge: (id) =>
      write(
        async (sql) =>
          (await sql`DELETE FROM script_policies WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`).length ===
          1,
      ),
    script: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT content FROM scripts WHERE hash = ${hash}`;
        return row === undefined ? undefined : text(row, "content");
      }),
  };
}

const select = (sql: SQL, condition: SQL.Query<unknown>): Promise<Row[]> =>
  sql`SELECT p.*, s.content FROM script_policies p JOIN scripts s ON s.hash = p.hash WHERE ${condition}`;

/** The unique index refuses a tie too; this says who is in the way. */
async function unlessTied(sql: SQL, policy: Policy, work: () => Promise<unknown>): Promise<void> {
  const { id, name, scope, group_id, priority } = policy;
  const inScope = group_id === undefined ? sql`scope = 'global'` : sql`group_id = ${group_id}`;
  const [rival] = policy.is_active
    ? await sql`SELECT id FROM script_policies WHERE name = ${name} AND ${inScope} AND priority = ${priority}
        AND is_active = 1 AND deleted_at IS NULL AND id <> ${id}`
    : [];
  const tie = `active ${scope} policy "${name}" with priority ${priority}`;
  if (rival !== undefined) {
    const rivalId = text(rival, "id");
    const remedy = `edit or deactivate it, or give policy ${id} another priority`;
    throw new ConflictError("ALREADY_EXISTS", `policy ${rivalId} is the ${tie} already: ${remedy}`, { id: rivalId });
  }
  await unlessTaken(`an ${tie}`, async () => void (await work()));
}

async function list(sql: SQL, filter: PolicyFilter, { limit, offset }: Page): Promise<Listing<Policy>> {
  const live = filter.deleted === true ? sql`p.deleted_at IS NOT NULL` : sql`p.deleted_at IS NULL`;
  const byScope = filter.scope === undefined ? sql`` : sql`AND p.scope = ${filter.scope}`;
  const byGroup = filter.groupId === undefined ? sql`` : sql`AND p.group_id = ${filter.groupId}`;
  const byTemplate = filter.templateId === undefined ? sql`` : sql`AND p.template_id = ${filter.templateId}`;
  const byActive = filter.active === undefined ? sql`` : sql`AND p.is_active = ${filter.active ? 1 : 0}`;
  const where = sql`${live} ${byScope} ${byGroup} ${byTemplate} ${byActive}`;
  const [count] = await sql`SELECT COUNT(*) AS total FROM script_policies p WHERE ${where}`;
  const rows = await select(
    sql,
    sql`${where} ORDER BY p.priority DESC, p.created_at, p.id LIMIT ${limit} OFFSET ${offset}`,
  );
  return { items: Array.from(rows, decode), total: number(count, "total") };
}

const encode = (policy: Policy) => ({
  id: policy.id,
  ...encodeScript(policy),
  config: JSON.stringify(policy.config),
  scope: policy.scope,
  group_id: policy.group_id ?? null,
  priority: policy.priority,
  is_active: policy.is_active ? 1 : 0,
  template_id: policy.template_id ?? null,
  template_name: policy.template_name ?? null,
  template_version: policy.template_version ?? null,
  created_at: policy.created_at,
  updated_at: policy.updated_at,
  deleted_at: policy.deleted_at ?? null,
});

const decode = (row: Row): Policy =>
  compact<Policy>({
    id: text(row, "id"),
    ...decodeScript(row),
    config: json(row, "config"),
    scope: text(row, "scope") === "group" ? "group" : "global",
    group_id: optionalText(row, "group_id"),
    priority: number(row, "priority"),
    is_active: flag(row, "is_active"),
    template_id: optionalText(row, "template_id"),
    template_name: optionalText(row, "template_name"),
    template_version: optionalText(row, "template_version"),
    created_at: number(row, "created_at"),
    updated_at: number(row, "updated_at"),
    deleted_at: optionalNumber(row, "deleted_at"),
  });
