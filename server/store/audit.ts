import type { Runner } from "./database.ts";
import { compact, json, type Listing, number, optionalText, type Page, type Row, text } from "./rows.ts";

export interface AuditEntry {
  readonly id: string;
  readonly at: number;
  /** `admin:NAME`, `node:ID`, `token:ID` or `anonymous`. */
  readonly actor: string;
  readonly actor_role: string;
  readonly address: string;
  /** For example `group.create`, `node.register`. */
  readonly action: string;
  readonly resource_id?: string;
  /** `ok` or an error code. */
  readonly result: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Rows are added, never changed, and removed only by their age. */
export interface AuditStore {
  append(entry: AuditEntry): Promise<void>;
  /** The oldest rows, `limit` at the most; how many there were. */
  removeBefore(atMs: number, limit: number): Promise<number>;
  list(page: Page): Promise<Listing<AuditEntry>>;
}

export function createAuditStore({ read, write }: Runner): AuditStore {
  return {
    append: (entry) =>
      write(async (sql) => {
        const row = { ...entry, resource_id: entry.resource_id ?? null, details: JSON.stringify(entry.details) };
        await sql`INSERT INTO audit ${sql(row)}`;
      }),
    removeBefore: (atMs, limit) =>
      write(async (sql) => {
        const oldest = sql`SELECT id FROM audit WHERE at < ${atMs} ORDER BY at, id LIMIT ${limit}`;
        return (await sql`DELETE FROM audit WHERE id IN (${oldest}) RETURNING id`).length;
      }),
    list: ({ limit, offset }) =>
      read(async (sql) => {
        const [count] = await sql`SELECT COUNT(*) AS total FROM audit`;
        const rows = await sql`SELECT * FROM audit ORDER BY at DESC, id DESC LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, decode), total: number(count, "total") };
      }),
  };
}

const decode = (row: Row): AuditEntry =>
  compact<AuditEntry>({
    id: text(row, "id"),
    at: number(row, "at"),
    actor: text(row, "actor"),
    actor_role: text(row, "actor_role"),
    address: text(row, "address"),
    action: text(row, "action"),
    resource_id: optionalText(row, "resource_id"),
    result: text(row, "result"),
    details: json(row, "details"),
  });
