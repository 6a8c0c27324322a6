import type { Role } from "../roles.ts";
import type { Runner } from "./database.ts";
import { number, optional, rowFormat, text, word } from "./columns.ts";

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

const columns = {
  id: text,
  name: text,
  role: word<Role>(),
  created_at: number,
  expires_at: optional(number),
  revoked_at: optional(number),
};
const tokens = rowFormat<AdminToken>(columns);
const storedTokens = rowFormat<AdminToken & { readonly hash: string }>({ ...columns, hash: text });

export function createAdminTokenStore({ read, write }: Runner): AdminTokenStore {
  return {
    create: (token) =>
      write(async (sql) => void (await sql`INSERT INTO admin_tokens ${sql(storedTokens.encode(token))}`)),
    findByHash: (hash) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM admin_tokens WHERE hash = ${hash}`;
        return row === undefined ? undefined : storedTokens.decode(row);
      }),
    list: () =>
      read(async (sql) =>
        Array.from(await sql`SELECT * FROM admin_tokens ORDER BY created_at DESC, id`, tokens.decode),
      ),
    revoke: (id, atMs) =>
      write(async (sql) => {
        const rows =
          await sql`UPDATE admin_tokens SET revoked_at = ${atMs} WHERE id = ${id} AND revoked_at IS NULL RETURNING id`;
        return rows.length === 1;
      }),
  };
}
