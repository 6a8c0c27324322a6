import type { AdminTokenStore } from "./admin-tokens.ts";
import { createAdminTokenStore } from "./admin-tokens.ts";
import { type AuditStore, createAuditStore } from "./audit.ts";
import { type BundleStore, createBundleStore } from "./bundles.ts";
import { type Database, openDatabase, type Runner } from "./database.ts";
import { createGroupStore, type GroupStore } from "./groups.ts";
import { migrate } from "./migrations.ts";
import { createPolicyStore, type PolicyStore } from "./policies.ts";
import { createSettingStore, type SettingStore } from "./settings.ts";
import { createTargetStore, type TargetStore } from "./targets.ts";
import { createTemplateStore, type TemplateStore } from "./templates.ts";
import { createTokenStore, type TokenStore } from "./tokens.ts";

export interface Tables {
  readonly settings: SettingStore;
  readonly adminTokens: AdminTokenStore;
  readonly groups: GroupStore;
  readonly tokens: TokenStore;
  readonly targets: TargetStore;
  readonly templates: TemplateStore;
  readonly policies: PolicyStore;
  readonly bundles: BundleStore;
  readonly audit: AuditStore;
}

/** Domain types in and out; only the files of this folder contain SQL. Every single call is atomic. */
export interface Store extends Tables {
  /** true when this call made the database. */
  readonly created: boolean;
  /** The work sees only the transaction that it is given; a throw undoes everything. */
  transaction<T>(work: (tables: Tables) => Promise<T>): Promise<T>;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export async function openStore(url: string): Promise<Store> {
  const database = await openDatabase(url);
  try {
    const { created } = await migrate(database);
    return createStore(database, created);
  } catch (error) {
    await database.close();
    throw error;
  }
}

function createStore(database: Database, created: boolean): Store {
  return {
    ...createTables(database),
    created,
    transaction: (work) => database.transaction((runner) => work(createTables(runner))),
    ping: async () => {
      await database.read((sql) => sql`SELECT value FROM counters WHERE name = 'revision'`);
    },
    close: () => database.close(),
  };
}

const createTables = (runner: Runner): Tables => ({
  settings: createSettingStore(runner),
  adminTokens: createAdminTokenStore(runner),
  groups: createGroupStore(runner),
  tokens: createTokenStore(runner),
  targets: createTargetStore(runner),
  templates: createTemplateStore(runner),
  policies: createPolicyStore(runner),
  bundles: createBundleStore(runner),
  audit: createAuditStore(runner),
});
