import type { Runner } from "./database.ts";
import { type Lifetime, lifetime, type Row, rowFormat, text } from "./columns.ts";
import { type Listing, type Page, totalOf, unlessTaken } from "./rows.ts";
import { keepScript, type Script, scriptColumns } from "./scripts.ts";
import { purge, setDeleted } from "./soft-delete.ts";

/** A reusable script. Policies copy it; later edits do not reach them. */
export interface Template extends Script, Lifetime {
  readonly id: string;
}

export interface TemplateStore {
  create(template: Template): Promise<void>;
  get(id: string, options?: { readonly deleted?: boolean }): Promise<Template | undefined>;
  findByName(name: string): Promise<Template | undefined>;
  list(page: Page, options?: { readonly deleted?: boolean; readonly scriptType?: string }): Promise<Listing<Template>>;
  update(template: Template): Promise<void>;
  /** Live policies that were copied from it. */
  countPolicies(id: string): Promise<number>;
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
}

const templates = rowFormat<Omit<Template, "script_content">>({ id: text, ...scriptColumns, ...lifetime });
const decode = (row: Row): Template => ({ ...templates.decode(row), script_content: String(row["content"]) });

export function createTemplateStore({ read, write }: Runner): TemplateStore {
  const find = (column: "id" | "name", value: string, deleted: boolean) =>
    read(async (sql) => {
      const match = column === "id" ? sql`t.id = ${value}` : sql`t.name = ${value}`;
      const live = deleted ? sql`` : sql`AND t.deleted_at IS NULL`;
      const [row] =
        await sql`SELECT t.*, s.content FROM script_templates t JOIN scripts s ON s.hash = t.hash WHERE ${match} ${live}`;
      return row === undefined ? undefined : decode(row);
    });
  return {
    create: (template) =>
      write((sql) =>
        unlessTaken(`script template ${template.name}`, async () => {
          await keepScript(sql, template, template.created_at);
          await sql`INSERT INTO script_templates ${sql(templates.encode(template))}`;
        }),
      ),
    get: (id, { deleted = false } = {}) => find("id", id, deleted),
    findByName: (name) => find("name", name, false),
    list: ({ limit, offset }, { deleted = false, scriptType } = {}) =>
      read(async (sql) => {
        const live = deleted ? sql`t.deleted_at IS NOT NULL` : sql`t.deleted_at IS NULL`;
        const byType = scriptType === undefined ? sql`` : sql`AND t.script_type = ${scriptType}`;
        const [count] = await sql`SELECT COUNT(*) AS total FROM script_templates t WHERE ${live} ${byType}`;
        const rows = await sql`SELECT t.*, s.content FROM script_templates t JOIN scripts s ON s.hash = t.hash
          WHERE ${live} ${byType} ORDER BY t.name, t.id LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, decode), total: totalOf(count) };
      }),
    update: (template) =>
      write((sql) =>
        unlessTaken(`script template ${template.name}`, async () => {
          await keepScript(sql, template, template.updated_at);
          const { id, deleted_at: _deleted, ...columns } = templates.encode(template);
          await sql`UPDATE script_templates SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL`;
        }),
      ),
    countPolicies: (id) =>
      read(async (sql) => {
        const [row] =
          await sql`SELECT COUNT(*) AS total FROM script_policies WHERE template_id = ${id} AND deleted_at IS NULL`;
        return totalOf(row);
      }),
    setDeleted: (id, atMs) =>
      write((sql) =>
        unlessTaken("a script template with this name", () => setDeleted(sql, "script_templates", id, atMs)),
      ),
    purge: (id) => write((sql) => purge(sql, "script_templates", id)),
  };
}
