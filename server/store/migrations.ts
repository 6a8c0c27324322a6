import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Database } from "./database.ts";

// Each entry is one schema version and never changes once released. Only SQL that SQLite and PostgreSQL both take:
// times are BIGINT milliseconds, JSON is TEXT, booleans are 0 and 1.
const migrations: readonly string[][] = [
  [
    `CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)`,
    `CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)`,
    `INSERT INTO counters (name, value) VALUES ('revision', 0), ('bundle_version', 0)`,
    `CREATE TABLE signing_keys (id TEXT PRIMARY KEY, public_key TEXT NOT NULL, created_at BIGINT NOT NULL, retired_at BIGINT)`,
    `CREATE TABLE admin_tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
       created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT)`,
    `CREATE TABLE namespaces (name TEXT PRIMARY KEY, description TEXT NOT NULL, created_at BIGINT NOT NULL)`,
    `INSERT INTO namespaces (name, description, created_at) VALUES
       ('environment', 'production, staging, development', 0),
       ('infrastructure', 'clouds, regions, data centres, racks', 0),
       ('logical', 'teams, clusters, purposes', 0)`,
    `CREATE TABLE groups (id TEXT PRIMARY KEY, namespace TEXT NOT NULL REFERENCES namespaces (name), parent_id TEXT REFERENCES groups (id),
       name TEXT NOT NULL, path TEXT NOT NULL, description TEXT NOT NULL, priority INTEGER NOT NULL, metadata TEXT NOT NULL,
       created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deleted_at BIGINT)`,
    `CREATE UNIQUE INDEX groups_path ON groups (path) WHERE deleted_at IS NULL`,
    `CREATE INDEX groups_parent ON groups (parent_id)`,
    `CREATE TABLE bootstrap_tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, description TEXT NOT NULL,
       default_group_id TEXT REFERENCES groups (id), allowed_groups TEXT NOT NULL, labels TEXT NOT NULL, expires_at BIGINT NOT NULL,
       max_uses INTEGER NOT NULL, uses INTEGER NOT NULL, revoked_at BIGINT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deleted_at BIGINT)`,
    `CREATE TABLE targets (id TEXT PRIMARY KEY, hostname TEXT NOT NULL, ip_address TEXT NOT NULL, status TEXT NOT NULL, labels TEXT NOT NULL,
       metadata TEXT NOT NULL, inventory TEXT NOT NULL, instance_id TEXT, boot_id TEXT, daemon_version TEXT, public_key TEXT, key_id TEXT,
       token_id TEXT, group_key TEXT NOT NULL, last_seen_at BIGINT, applied_revision TEXT, report TEXT, report_sequence BIGINT,
       created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deleted_at BIGINT)`,
    `CREATE UNIQUE INDEX targets_hostname ON targets (hostname) WHERE deleted_at IS NULL`,
    `CREATE UNIQUE INDEX targets_key ON targets (key_id) WHERE deleted_at IS NULL AND key_id IS NOT NULL`,
    `CREATE INDEX targets_seen ON targets (status, last_seen_at)`,
    `CREATE TABLE target_groups (target_id TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE, group_id TEXT NOT NULL REFERENCES groups (id),
       position INTEGER NOT NULL, PRIMARY KEY (target_id, group_id))`,
    `CREATE INDEX target_groups_group ON target_groups (group_id)`,
    `CREATE TABLE exporters (id TEXT PRIMARY KEY, target_id TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE, type TEXT NOT NULL,
       port INTEGER NOT NULL, enabled INTEGER NOT NULL, scheme TEXT NOT NULL, metrics_path TEXT NOT NULL, scrape_interval TEXT,
       scrape_timeout TEXT, config TEXT NOT NULL, position INTEGER NOT NULL)`,
    `CREATE INDEX exporters_target ON exporters (target_id)`,
    `CREATE TABLE scripts (hash TEXT PRIMARY KEY, content TEXT NOT NULL, size_bytes INTEGER NOT NULL, created_at BIGINT NOT NULL)`,
    `CREATE TABLE script_templates (id TEXT PRIMARY KEY, name TEXT NOT NULL, script_type TEXT NOT NULL, language TEXT NOT NULL,
       version TEXT NOT NULL, hash TEXT NOT NULL REFERENCES scripts (hash), default_config TEXT NOT NULL, description TEXT NOT NULL,
       interval_seconds DOUBLE PRECISION, schedule TEXT, timeout_seconds DOUBLE PRECISION NOT NULL, permissions TEXT NOT NULL,
       created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deleted_at BIGINT)`,
    `CREATE UNIQUE INDEX script_templates_name ON script_templates (name) WHERE deleted_at IS NULL`,
    `CREATE TABLE script_policies (id TEXT PRIMARY KEY, name TEXT NOT NULL, script_type TEXT NOT NULL, language TEXT NOT NULL,
       version TEXT NOT NULL, hash TEXT NOT NULL REFERENCES scripts (hash), default_config TEXT NOT NULL, config TEXT NOT NULL,
       description TEXT NOT NULL, interval_seconds DOUBLE PRECISION, schedule TEXT, timeout_seconds DOUBLE PRECISION NOT NULL,
       permissions TEXT NOT NULL, scope TEXT NOT NULL, group_id TEXT REFERENCES groups (id), priority INTEGER NOT NULL,
       is_active INTEGER NOT NULL, template_id TEXT REFERENCES script_templates (id) ON DELETE SET NULL, template_name TEXT,
       template_version TEXT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deleted_at BIGINT)`,
    `CREATE INDEX script_policies_group ON script_policies (group_id)`,
    `CREATE INDEX script_policies_template ON script_policies (template_id)`,
    `CREATE TABLE bundles (group_key TEXT PRIMARY KEY, epoch BIGINT NOT NULL, version BIGINT NOT NULL, hash TEXT NOT NULL,
       content_hash TEXT NOT NULL, document TEXT NOT NULL, issued_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)`,
    `CREATE TABLE audit (id TEXT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, actor_role TEXT NOT NULL, address TEXT NOT NULL,
       action TEXT NOT NULL, resource_id TEXT, result TEXT NOT NULL, details TEXT NOT NULL)`,
    `CREATE INDEX audit_at ON audit (at)`,
  ],
  [
    // Of policies that tie the oldest ran; it goes on to.
    `UPDATE script_policies SET is_active = 0 WHERE is_active = 1 AND deleted_at IS NULL AND EXISTS (
       SELECT 1 FROM script_policies older WHERE older.name = script_policies.name AND older.id < script_policies.id
         AND COALESCE(older.group_id, '') = COALESCE(script_policies.group_id, '') AND older.priority = script_policies.priority
         AND older.is_active = 1 AND older.deleted_at IS NULL)`,
    `CREATE UNIQUE INDEX script_policies_tie ON script_policies (name, (COALESCE(group_id, '')), priority)
       WHERE is_active = 1 AND deleted_at IS NULL`,
  ],
];

/** Brings the schema to this program's version in one transaction; refuses a database that a newer program wrote. */
export async function migrate(database: Database): Promise<{ readonly created: boolean; readonly version: number }> {
  return database.transaction(async (runner) =>
    runner.write(async (sql) => {
      await sql.unsafe("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
      // Two servers that start at once on one PostgreSQL take turns here.
      if (database.dialect === "postgres") await sql.unsafe("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE");
      const [row] = await sql`SELECT MAX(version) AS version FROM schema_version`;
      const current = Number(row?.version ?? 0);
      if (current > migrations.length) {
        const message = `the database has schema version ${current}, this program knows up to ${migrations.length}: use a newer aami`;
        throw new ExitError(ExitCode.badConfiguration, message);
      }
      for (const statements of migrations.slice(current))
        for (const statement of statements) await sql.unsafe(statement);
      if (current < migrations.length) await sql`INSERT INTO schema_version (version) VALUES (${migrations.length})`;
      return { created: current === 0, version: migrations.length };
    }),
  );
}
