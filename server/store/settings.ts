import type { TrustedKey } from "../../protocol/signed-document.ts";
import type { Runner } from "./database.ts";
import { rowFormat, text } from "./columns.ts";

export type Counter = "revision" | "bundle_version";

export interface SettingStore {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  counter(name: Counter): Promise<number>;
  /** Raises the counter by one and answers the new value; no two callers get the same. */
  next(name: Counter): Promise<number>;
  addSigningKey(key: TrustedKey, createdAtMs: number): Promise<void>;
  /** Public keys that nodes trust, newest first. */
  signingKeys(): Promise<TrustedKey[]>;
}

const keys = rowFormat<TrustedKey>({ id: text, public_key: text });

export function createSettingStore({ read, write }: Runner): SettingStore {
  return {
    get: (key) =>
      read(async (sql) => {
        const [row] = await sql`SELECT value FROM settings WHERE key = ${key}`;
        return row === undefined ? undefined : String(row["value"]);
      }),
    set: (key, value) =>
      write(async (sql) => {
        await sql`INSERT INTO settings (key, value) VALUES (${key}, ${value}) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
      }),
    counter: (name) =>
      read(async (sql) => {
        const [row] = await sql`SELECT value FROM counters WHERE name = ${name}`;
        return Number(row["value"]);
      }),
    next: (name) =>
      write(async (sql) => {
        const [row] = await sql`UPDATE counters SET value = value + 1 WHERE name = ${name} RETURNING value`;
        return Number(row["value"]);
      }),
    addSigningKey: ({ id, public_key }, createdAtMs) =>
      write(async (sql) => {
        await sql`INSERT INTO signing_keys (id, public_key, created_at) VALUES (${id}, ${public_key}, ${createdAtMs}) ON CONFLICT (id) DO NOTHING`;
      }),
    signingKeys: () =>
      read(async (sql) => {
        const rows =
          await sql`SELECT id, public_key FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC, id`;
        return Array.from(rows, keys.decode);
      }),
  };
}
