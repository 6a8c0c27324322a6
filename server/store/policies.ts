import type { SQL } from "bun";
import { ConflictError } from "../../protocol/errors.ts";
import type { Runner } from "./database.ts";
import { flag, json, type Lifetime, lifetime, number, optional, type Row, rowFormat, text, word } from "./columns.ts";
import { type Listing, type Page, totalOf, unlessTaken } from "./rows.ts";
import { keepScript, type Script, scriptColumns } from "./scripts.ts";
import { purge, setDeleted } from "./soft-delete.ts";

/** A copy of a script applied to everyone or to a group. */
export interface Policy extends Script, Lifetime {
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

const policies = rowFormat<Omit<Policy, "script_content">>({
  id: text,
  ...scriptColumns,
  config: json(),
  scope: word(),
  group_id: optional(text),
  priority: number,
  is_active: flag,
  template_id: optional(text),
  template_name: optional(text),
  template_version: optional(text),
  ...lifetime,
});
const decode = (row: Row): Policy => ({ ...policies.decode(row), script_content: String(row["content"]) });

export function createPolicyStore({ read, write }: Runner): PolicyStore {
  return {
    create: (policy) =>
      write((sql) =>
        unlessTied(sql, policy, "this one", async () => {
          await keepScript(sql, policy, policy.created_at);
          await sql`INSERT INTO script_policies ${sql(policies.encode(policy))}`;
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
        unlessTied(sql, policy, `policy ${policy.id}`, async () => {
          await keepScript(sql, policy, policy.updated_at);
          const { id, deleted_at: _deleted, ...columns } = policies.encode(policy);
          await sql`UPDATE script_policies SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL`;
        }),
      ),
    setDeleted: (id, atMs) =>
      write(async (sql) => {
        const change = () => setDeleted(sql, "script_policies", id, atMs);
        const [hidden] = atMs === undefined ? await select(sql, sql`p.id = ${id} AND p.deleted_at IS NOT NULL`) : [];
        return hidden === undefined ? change() : unlessTied(sql, decode(hidden), `policy ${id}`, change);
      }),
    purge: (id) => write((sql) => purge(sql, "script_policies", id)),
    script: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT content FROM scripts WHERE hash = ${hash}`;
        return row === undefined ? undefined : String(row["content"]);
      }),
  };
}

const select = (sql: SQL, condition: SQL.Query<unknown>): Promise<Row[]> =>
  sql`SELECT p.*, s.content FROM script_policies p JOIN scripts s ON s.hash = p.hash WHERE ${condition}`;

/** The unique index refuses a tie too; this says who is in the way. A policy that is not stored has no id to be called by. */
async function unlessTied<T>(sql: SQL, policy: Policy, called: string, work: () => Promise<T>): Promise<T> {
  const { id, name, scope, group_id, priority } = policy;
  const inScope = group_id === undefined ? sql`scope = 'global'` : sql`group_id = ${group_id}`;
  const [rival] = policy.is_active
    ? await sql`SELECT id FROM script_policies WHERE name = ${name} AND ${inScope} AND priority = ${priority}
        AND is_active = 1 AND deleted_at IS NULL AND id <> ${id}`
    : [];
  const tie = `active ${scope} policy "${name}" with priority ${priority}`;
  if (rival !== undefined) {
    const rivalId = String(rival["id"]);
    const remedy = `edit or deactivate it, or give ${called} another priority`;
    throw new ConflictError("ALREADY_EXISTS", `policy ${rivalId} is the ${tie} already: ${remedy}`, { id: rivalId });
  }
  return unlessTaken(`an ${tie}`, work);
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
  return { items: Array.from(rows, decode), total: totalOf(count) };
}
