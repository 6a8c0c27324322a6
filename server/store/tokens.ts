import type { Runner } from "./database.ts";
import { json, type Lifetime, lifetime, number, optional, rowFormat, text } from "./columns.ts";
import { type Listing, type Page, totalOf, unlessTaken } from "./rows.ts";
import { purge, setDeleted } from "./soft-delete.ts";

/** A bootstrap token without its secret. */
export interface TokenRecord extends Lifetime {
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly description: string;
  readonly default_group_id?: string;
  /** Groups that a registration may choose; empty means any. */
  readonly allowed_groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly expires_at: number;
  readonly max_uses: number;
  readonly uses: number;
  readonly revoked_at?: number;
}

export interface TokenStore {
  create(token: TokenRecord): Promise<void>;
  get(id: string, options?: { readonly deleted?: boolean }): Promise<TokenRecord | undefined>;
  findByHash(hash: string): Promise<TokenRecord | undefined>;
  list(page: Page, options?: { readonly deleted?: boolean }): Promise<Listing<TokenRecord>>;
  /** Its settings. The secret, its uses and its end have methods of their own: an edit must not undo them. */
  update(token: TokenRecord): Promise<void>;
  /** false when there is no such token; the old secret is void from here on. */
  rotate(id: string, hash: string, atMs: number): Promise<boolean>;
  /** Keeps the time of an earlier revocation; false when there is no such token. */
  revoke(id: string, atMs: number): Promise<boolean>;
  /** Takes one use if the token is still good, in one statement; otherwise undefined and nothing changes. */
  consume(id: string, nowMs: number): Promise<{ readonly uses: number; readonly max_uses: number } | undefined>;
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
}

const tokens = rowFormat<TokenRecord>({
  id: text,
  hash: text,
  name: text,
  description: text,
  default_group_id: optional(text),
  allowed_groups: json(),
  labels: json(),
  expires_at: number,
  max_uses: number,
  uses: number,
  revoked_at: optional(number),
  ...lifetime,
});
const uses = rowFormat<Pick<TokenRecord, "uses" | "max_uses">>({ uses: number, max_uses: number });

export function createTokenStore({ read, write }: Runner): TokenStore {
  return {
    create: (token) =>
      write((sql) =>
        unlessTaken(
          "this token",
          async () => void (await sql`INSERT INTO bootstrap_tokens ${sql(tokens.encode(token))}`),
        ),
      ),
    get: (id, { deleted = false } = {}) =>
      read(async (sql) => {
        const [row] = deleted
          ? await sql`SELECT * FROM bootstrap_tokens WHERE id = ${id}`
          : await sql`SELECT * FROM bootstrap_tokens WHERE id = ${id} AND deleted_at IS NULL`;
        return row === undefined ? undefined : tokens.decode(row);
      }),
    findByHash: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM bootstrap_tokens WHERE hash = ${hash} AND deleted_at IS NULL`;
        return row === undefined ? undefined : tokens.decode(row);
      }),
    list: ({ limit, offset }, { deleted = false } = {}) =>
      read(async (sql) => {
        const live = deleted ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
        const [count] = await sql`SELECT COUNT(*) AS total FROM bootstrap_tokens WHERE ${live}`;
        const rows =
          await sql`SELECT * FROM bootstrap_tokens WHERE ${live} ORDER BY created_at DESC, id LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, tokens.decode), total: totalOf(count) };
      }),
    update: (token) =>
      write(async (sql) => {
        const {
          id,
          hash: _hash,
          uses: _uses,
          revoked_at: _revoked,
          deleted_at: _deleted,
          ...columns
        } = tokens.encode(token);
        await sql`UPDATE bootstrap_tokens SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL`;
      }),
    rotate: (id, hash, atMs) =>
      write(async (sql) => {
        const rows = await sql`UPDATE bootstrap_tokens SET hash = ${hash}, updated_at = ${atMs}
          WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
        return rows.length === 1;
      }),
    revoke: (id, atMs) =>
      write(async (sql) => {
        const rows =
          await sql`UPDATE bootstrap_tokens SET revoked_at = COALESCE(revoked_at, ${atMs}), updated_at = ${atMs}
          WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
        return rows.length === 1;
      }),
    consume: (id, nowMs) =>
      write(async (sql) => {
        const [row] = await sql`UPDATE bootstrap_tokens SET uses = uses + 1, updated_at = ${nowMs}
          WHERE id = ${id} AND deleted_at IS NULL AND revoked_at IS NULL AND expires_at > ${nowMs} AND uses < max_uses
          RETURNING uses, max_uses`;
        return row === undefined ? undefined : uses.decode(row);
      }),
    setDeleted: (id, atMs) => write((sql) => setDeleted(sql, "bootstrap_tokens", id, atMs)),
    purge: (id) => write((sql) => purge(sql, "bootstrap_tokens", id)),
  };
}
