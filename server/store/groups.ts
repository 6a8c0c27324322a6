import type { SQL } from "bun";
import type { Runner } from "./database.ts";
import { json, type Lifetime, lifetime, number, optional, rowFormat, text } from "./columns.ts";
import { type Listing, type Page, totalOf, unlessTaken } from "./rows.ts";
import { purge, setDeleted } from "./soft-delete.ts";

export interface Group extends Lifetime {
  readonly id: string;
  readonly namespace: string;
  readonly parent_id?: string;
  readonly name: string;
  /** `namespace:a/b/c` */
  readonly path: string;
  readonly description: string;
  readonly priority: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Namespace {
  readonly name: string;
  readonly description: string;
}

export interface GroupUsage {
  readonly children: number;
  readonly targets: number;
  readonly policies: number;
  readonly tokens: number;
}

export interface GroupFilter {
  readonly namespace?: string;
  readonly parentId?: string;
  readonly deleted?: boolean;
}

export interface GroupStore {
  namespaces(): Promise<Namespace[]>;
  createNamespace(namespace: Namespace, atMs: number): Promise<void>;
  create(group: Group): Promise<void>;
  /** Live groups only, unless `deleted` is asked for. */
  get(id: string, options?: { readonly deleted?: boolean }): Promise<Group | undefined>;
  getMany(ids: readonly string[]): Promise<Group[]>;
  findByPath(path: string): Promise<Group | undefined>;
  list(filter: GroupFilter, page: Page): Promise<Listing<Group>>;
  /** Replaces the row; descendants keep a path below this one. */
  update(group: Group, previousPath: string): Promise<void>;
  usage(id: string): Promise<GroupUsage>;
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
}

const groups = rowFormat<Group>({
  id: text,
  namespace: text,
  parent_id: optional(text),
  name: text,
  path: text,
  description: text,
  priority: number,
  metadata: json(),
  ...lifetime,
});
const namespaces = rowFormat<Namespace>({ name: text, description: text });
const usages = rowFormat<GroupUsage>({ children: number, targets: number, policies: number, tokens: number });

export function createGroupStore({ read, write }: Runner): GroupStore {
  return {
    namespaces: () =>
      read(async (sql) =>
        Array.from(await sql`SELECT name, description FROM namespaces ORDER BY name`, namespaces.decode),
      ),
    createNamespace: (namespace, atMs) =>
      write((sql) =>
        unlessTaken(
          `namespace ${namespace.name}`,
          async () => void (await sql`INSERT INTO namespaces ${sql({ ...namespace, created_at: atMs })}`),
        ),
      ),
    create: (group) =>
      write((sql) =>
        unlessTaken(
          `group ${group.path}`,
          async () => void (await sql`INSERT INTO groups ${sql(groups.encode(group))}`),
        ),
      ),
    get: (id, { deleted = false } = {}) =>
      read(async (sql) => {
        const [row] = deleted
          ? await sql`SELECT * FROM groups WHERE id = ${id}`
          : await sql`SELECT * FROM groups WHERE id = ${id} AND deleted_at IS NULL`;
        return row === undefined ? undefined : groups.decode(row);
      }),
    getMany: (ids) =>
      read(async (sql) =>
        ids.length === 0
          ? []
          : Array.from(
              await sql`SELECT * FROM groups WHERE deleted_at IS NULL AND id IN ${sql([...ids])}`,
              groups.decode,
            ),
      ),
    findByPath: (path) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM groups WHERE path = ${path} AND deleted_at IS NULL`;
        return row === undefined ? undefined : groups.decode(row);
      }),
    list: (filter, { limit, offset }) =>
      read(async (sql) => {
        const live = filter.deleted === true ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
        const inNamespace = filter.namespace === undefined ? sql`` : sql`AND namespace = ${filter.namespace}`;
        const below = filter.parentId === undefined ? sql`` : sql`AND parent_id = ${filter.parentId}`;
        const [count] = await sql`SELECT COUNT(*) AS total FROM groups WHERE ${live} ${inNamespace} ${below}`;
        const rows =
          await sql`SELECT * FROM groups WHERE ${live} ${inNamespace} ${below} ORDER BY path, id LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, groups.decode), total: totalOf(count) };
      }),
    update: (group, previousPath) =>
      write((sql) =>
        unlessTaken(`group ${group.path}`, async () => {
          const { id, deleted_at: _deleted, ...columns } = groups.encode(group);
          await sql`UPDATE groups SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL`;
          if (group.path === previousPath) return;
          const prefix = `${previousPath}/`;
          await sql`UPDATE groups SET path = ${`${group.path}/`} || SUBSTR(path, ${prefix.length + 1})
            WHERE SUBSTR(path, 1, ${prefix.length}) = ${prefix} AND deleted_at IS NULL`;
        }),
      ),
    usage: (id) =>
      read(async (sql) => {
        const [row] = await sql`SELECT
          (SELECT COUNT(*) FROM groups WHERE parent_id = ${id} AND deleted_at IS NULL) AS children,
          (SELECT COUNT(*) FROM target_groups tg JOIN targets t ON t.id = tg.target_id WHERE tg.group_id = ${id} AND t.deleted_at IS NULL) AS targets,
          (SELECT COUNT(*) FROM script_policies WHERE group_id = ${id} AND deleted_at IS NULL) AS policies,
          (SELECT COUNT(*) FROM bootstrap_tokens WHERE default_group_id = ${id} AND deleted_at IS NULL AND revoked_at IS NULL) AS tokens`;
        return usages.decode(row);
      }),
    setDeleted: (id, atMs) =>
      write((sql) => unlessTaken("a group with this path", () => setDeleted(sql, "groups", id, atMs))),
    purge: (id) => write((sql) => purgeGroup(sql, id)),
  };
}

// Rows that only deleted things still point from go with the group.
async function purgeGroup(sql: SQL, id: string): Promise<boolean> {
  await sql`DELETE FROM script_policies WHERE group_id = ${id} AND deleted_at IS NOT NULL`;
  await sql`DELETE FROM target_groups WHERE group_id = ${id} AND target_id IN (SELECT id FROM targets WHERE deleted_at IS NOT NULL)`;
  await sql`UPDATE bootstrap_tokens SET default_group_id = NULL WHERE default_group_id = ${id}`;
  await sql`UPDATE groups SET parent_id = NULL WHERE parent_id = ${id} AND deleted_at IS NOT NULL`;
  return purge(sql, "groups", id);
}
