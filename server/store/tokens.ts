import type { Runner } from "./database.ts";
import {
  compact,
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

/** A bootstrap token without its secret. */
export interface TokenRecord {
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
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at?: number;
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

export function createTokenStore({ read, write }: Runner): TokenStore {
  return {
    create: (token) =>
      write((sql) =>
        unlessTaken("this token", async () => void (await sql`INSERT INTO bootstrap_tokens ${sql(encode(token))}`)),
      ),
    get: (id, { deleted = false } = {}) =>
      read(async (sql) => {
        const [row] = deleted
          ? await sql`SELECT * FROM bootstrap_tokens WHERE id = ${id}`
          : await sql`SELECT * FROM bootstrap_tokens WHERE id = ${id} AND deleted_at IS NULL`;
        return row === undefined ? undefined : decode(row);
      }),
    findByHash: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM bootstrap_tokens WHERE hash = ${hash} AND deleted_at IS NULL`;
        return row === undefined ? undefined : decode(row);
      }),
    list: ({ limit, offset }, { deleted = false } = {}) =>
      read(async (sql) => {
        const live = deleted ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
        const [count] = await sql`SELECT COUNT(*) AS total FROM bootstrap_tokens WHERE ${live}`;
        const rows =
          await sql`SELECT * FROM bootstrap_tokens WHERE ${live} ORDER BY created_at DESC, id LIMIT ${limit} OFFSET ${offset}`;
        return { items: Array.from(rows, decode), total: number(count, "total") };
      }),
    update: (token) =>
      write(async (sql) => {
        const { id, hash: _hash, uses: _uses, revoked_at: _revoked, deleted_at: _deleted, ...columns } = encode(token);
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
        return row === undefined ? undefined : { uses: number(row, "uses"), max_uses: number(row, "max_uses") };
      }),
    setDeleted: (id, atMs) =>
      write(async (sql) => {
        const rows =
          atMs === undefined
            ? await sql`UPDATE bootstrap_tokens SET deleted_at = NULL WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`
            : await sql`UPDATE bootstrap_tokens SET deleted_at = ${atMs} WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
        return rows.length === 1;
      }),
    purge: (id) =>
      write(
        async (sql) =>
          (await sql`DELETE FROM bootstrap_tokens WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`).length ===
          1,
      ),
  };
}

const encode = (token: TokenRecord) => ({
  ...token,
  default_group_id: token.default_group_id ?? null,
  allowed_groups: JSON.stringify(token.allowed_groups),
  labels: JSON.stringify(token.labels),
  revoked_at: token.revoked_at ?? null,
  deleted_at: token.deleted_at ?? null,
});

const decode = (row: Row): TokenRecord =>
  compact<TokenRecord>({
    id: text(row, "id"),
    hash: text(row, "hash"),
    name: text(row, "name"),
    description: text(row, "description"),
    default_group_id: optionalText(row, "default_group_id"),
    allowed_groups: json(row, "allowed_groups"),
    labels: json(row, "labels"),
    expires_at: number(row, "expires_at"),
    max_uses: number(row, "max_uses"),
    uses: number(row, "uses"),
    revoked_at: optionalNumber(row, "revoked_at"),
    created_at: number(row, "created_at"),
    updated_at: number(row, "updated_at"),
    deleted_at: optionalNumber(row, "deleted_at"),
  });
