import { SQL } from "bun";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "../../server/store/store.ts";

export interface Engine {
  readonly name: string;
  /** An empty database of its own; `reopen` opens the same one again. */
  open(): Promise<{
    readonly store: Store;
    readonly url: string;
    readonly reopen: () => Promise<Store>;
    readonly discard: () => Promise<void>;
  }>;
}

const sqlite: Engine = {
  name: "sqlite",
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), "aami-store-"));
    const url = `sqlite://${join(folder, "test.db")}`;
    return {
      store: await openStore(url),
      url,
      reopen: () => openStore(url),
      discard: async () => rmSync(folder, { recursive: true, force: true }),
    };
  },
};

const postgres = (adminUrl: string): Engine => ({
  name: "postgres",
  open: async () => {
    const admin = new SQL(adminUrl, { max: 1 });
    const database = `aami_test_${Bun.randomUUIDv7().replaceAll("-", "")}`;
    await admin.unsafe(`CREATE DATABASE ${database}`);
    const url = new URL(adminUrl);
    url.pathname = `/${database}`;
    return {
      store: await openStore(url.href),
      url: url.href,
      reopen: () => openStore(url.href),
      discard: async () => {
        await admin.unsafe(`DROP DATABASE ${database} WITH (FORCE)`);
        await admin.close();
      },
    };
  },
});

const postgresUrl = process.env["TEST_POSTGRES_URL"];

/** SQLite always; PostgreSQL when TEST_POSTGRES_URL names a server on which databases may be made. */
export const engines: readonly Engine[] = postgresUrl === undefined ? [sqlite] : [sqlite, postgres(postgresUrl)];
