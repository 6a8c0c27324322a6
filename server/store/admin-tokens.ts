import type { Role } from "../roles.ts";
import type { Runner } from "./database.ts";
import { compact, number, optionalNumber, type Row, text } from "./rows.ts";

export interface AdminToken {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly created_at: number;
  readonly expires_at?: number;
  readonly revoked_at?: number;
}

export interface AdminTokenStore {
  create(token: AdminToken & { readonly hash: string }): Promise<void>;
  findByHash(hash: string): Promise<(AdminToken & { readonly hash: string }) | undefined>;
  list(): Promise<AdminToken[]>;
  /** false when there is no such token that was still good. */
  revoke(id: string, atMs: number): Promise<boolean>;
}

export function createAdminTokenStore({ read, write }: Runner): AdminTokenStore {
  return {
    create: ({ id, name, role, hash, created_at, expires_at }) =>
      write(async (sql) => {
        await sql`INSERT INTO admin_tokens ${sql({ id, name, role, hash, created_at, expires_at: expires_at ?? null })}`;
      }),
    findByHash: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM admin_tokens WHERE hash = ${hash}`;
        return row === undefined ? undefined : { ...decode(row), hash: text(row, "hash") };
      }),
    list: () =>
      read(async (sql) => Array.from(await sql`SELECT * FROM admin_tokens ORDER BY created_at DESC, id`, decode)),
    revoke: (id, atMs) =>
      write(async (sql) => {
        const rows =
          await sql`UPDATE admin_tokens SET revoked_at = ${atMs} WHERE id = ${id} AND revoked_at IS NULL RETURNING id`;
        return rows.length === 1;
      }),
  };
}

const decode = (row: Row): AdminToken =>
  compact<AdminToken>({
    id: text(row, "id"),
    name: text(row, "name"),
    role: text(row, "role") as Role,
    created_at: number(row, "created_at"),
    expires_at: optionalNumber(row, "expires_at"),
    revoked_at: optionalNumber(row, "revoked_at"),
  });
