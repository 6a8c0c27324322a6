import type { Runner } from "./database.ts";
import { number, rowFormat, text } from "./columns.ts";

/** A signed bundle as it was issued. Kept, because one version must never have two contents, not even after a restart. */
export interface StoredBundle {
  readonly group_key: string;
  readonly epoch: number;
  readonly version: number;
  /** Hex SHA-256 of the signed payload. */
  readonly hash: string;
  /** Hex SHA-256 of what decides whether a new version is needed. */
  readonly content_hash: string;
  readonly document: string;
  readonly issued_at: number;
  readonly expires_at: number;
}

export interface BundleStore {
  get(groupKey: string): Promise<StoredBundle | undefined>;
  /** Keeps whichever of the stored and the given one is newer. */
  put(bundle: StoredBundle): Promise<void>;
  /** The next bundle of this set gets a new version: a node that joins it may hold a newer one of another set. */
  forget(groupKey: string): Promise<void>;
}

const bundles = rowFormat<StoredBundle>({
  group_key: text,
  epoch: number,
  version: number,
  hash: text,
  content_hash: text,
  document: text,
  issued_at: number,
  expires_at: number,
});

export function createBundleStore({ read, write }: Runner): BundleStore {
  return {
    get: (groupKey) =>
      read(async (sql) => {
        const [row] = await sql`SELECT * FROM bundles WHERE group_key = ${groupKey}`;
        return row === undefined ? undefined : bundles.decode(row);
      }),
    put: (bundle) =>
      write(async (sql) => {
        await sql`INSERT INTO bundles ${sql({ ...bundle })} ON CONFLICT (group_key) DO UPDATE SET
          epoch = excluded.epoch, version = excluded.version, hash = excluded.hash, content_hash = excluded.content_hash,
          document = excluded.document, issued_at = excluded.issued_at, expires_at = excluded.expires_at
          WHERE bundles.epoch < excluded.epoch OR (bundles.epoch = excluded.epoch AND bundles.version < excluded.version)`;
      }),
    forget: (groupKey) =>
      write(async (sql) => {
        await sql`DELETE FROM bundles WHERE group_key = ${groupKey}`;
      }),
  };
}
