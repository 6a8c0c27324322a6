import type { Runner } from "./database.ts";
import { json, number, optional, rowFormat, text } from "./columns.ts";
import { type Listing, type Page, totalOf } from "./rows.ts";

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

const entries = rowFormat<AuditEntry>({
  id: text,
  at: number,
  actor: text,
  actor_role: text,
  address: text,
  action: text,
  resource_id: optional(text),
  result: text,
  details: json(),
});

export function createAuditStore({ read, write }: Runner): AuditStore {
  return {
    append: (entry) => write(async (sql) => void (await sql`INSERT INTO audit ${sql(entries.encode(entry))}`)),
    removeBefore: (atMs, limit) =>
      write(async (sql) => {
        const oldest = sql`SELECT id FROM audit WHERE at < ${atMs} ORDER BY at, id LIMIT ${limit}`;
        return (await sql`DELETE FROM audit WHERE id IN (${oldest}) RETURNING id`).length;
      }),
    list: ({ limit, offset }) =>
      read(async (sql) => {
        const [count] = await sql`SELECT COUNT(*) AS total FROM audit`;
        const rows = await sql`SELECT * FROM audit ORDER BY at DESC, id DESC LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, entries.decode), total: totalOf(count) };
      }),
  };
}
