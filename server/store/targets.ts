import type { SQL } from "bun";
import type { Runner } from "./database.ts";
import { flag, json, type Lifetime, lifetime, number, optional, type Row, rowFormat, text, word } from "./columns.ts";
import { type Listing, type Page, totalOf, unlessTaken } from "./rows.ts";
import { purge, setDeleted } from "./soft-delete.ts";

export type TargetStatus = "active" | "inactive" | "down";

export interface TargetExporter {
  readonly id: string;
  readonly type: string;
  readonly port: number;
  readonly enabled: boolean;
  readonly scheme: "http" | "https";
  readonly metrics_path: string;
  readonly scrape_interval?: string;
  readonly scrape_timeout?: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface Target extends Lifetime {
  readonly id: string;
  readonly hostname: string;
  readonly ip_address: string;
  /** `inactive` is an admin's choice; `down` and back to `active` follow the heartbeats. */
  readonly status: TargetStatus;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inventory: Readonly<Record<string, unknown>>;
  readonly instance_id?: string;
  readonly boot_id?: string;
  readonly daemon_version?: string;
  readonly public_key?: string;
  readonly key_id?: string;
  readonly token_id?: string;
  /** Names the set of groups, and so the bundle. */
  readonly group_key: string;
  /** The primary group first. */
  readonly group_ids: readonly string[];
  readonly exporters: readonly TargetExporter[];
  readonly last_seen_at?: number;
  readonly applied_revision?: string;
  readonly report?: Readonly<Record<string, unknown>>;
  readonly report_sequence?: number;
}

export interface TargetFilter {
  readonly hostname?: string;
  readonly status?: TargetStatus;
  readonly groupId?: string;
  readonly exporterType?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly deleted?: boolean;
}

export interface Heartbeat {
  readonly targetId: string;
  readonly seenAtMs: number;
  readonly appliedRevision?: string;
}

export interface TargetStore {
  create(target: Target): Promise<void>;
  get(id: string, options?: { readonly deleted?: boolean }): Promise<Target | undefined>;
  findByHostname(hostname: string): Promise<Target | undefined>;
  findByKey(keyId: string): Promise<Target | undefined>;
  list(filter: TargetFilter, page: Page): Promise<Listing<Target>>;
  countByStatus(): Promise<Record<TargetStatus, number>>;
  /** What an admin decides. The key and the facts of a registration stay: an edit must not bring back an older key. */
  update(target: Target): Promise<void>;
  /** What a registration brings; replaces everything but what heartbeats and reports write. */
  reregister(target: Target): Promise<void>;
  /** One transaction for many nodes; a node that was down is active again. */
  recordHeartbeats(heartbeats: readonly Heartbeat[]): Promise<void>;
  /** false for a report that is not newer than the stored one. */
  recordReport(id: string, report: Readonly<Record<string, unknown>>, sequence: number): Promise<boolean>;
  /** Marks active nodes with a key that were last seen before then as down; answers their ids. */
  markDown(lastSeenBeforeMs: number): Promise<string[]>;
  setDeleted(id: string, atMs: number | undefined): Promise<boolean>;
  purge(id: string): Promise<boolean>;
}

const labelColumn = json<Target["labels"]>();
/** Groups and exporters are rows of their own. */
const targets = rowFormat<Omit<Target, "group_ids" | "exporters">>({
  id: text,
  hostname: text,
  ip_address: text,
  status: word(),
  labels: labelColumn,
  metadata: json(),
  inventory: json(),
  instance_id: optional(text),
  boot_id: optional(text),
  daemon_version: optional(text),
  public_key: optional(text),
  key_id: optional(text),
  token_id: optional(text),
  group_key: text,
  last_seen_at: optional(number),
  applied_revision: optional(text),
  report: optional(json()),
  report_sequence: optional(number),
  ...lifetime,
});
const exporterRows = rowFormat<TargetExporter>({
  id: text,
  type: text,
  port: number,
  enabled: flag,
  scheme: word(),
  metrics_path: text,
  scrape_interval: optional(text),
  scrape_timeout: optional(text),
  config: json(),
});
const idOf = (row: Row): string => String(row["id"]);

export function createTargetStore({ read, write }: Runner): TargetStore {
  const one = (query: (sql: SQL) => Promise<Row[]>) =>
    read(async (sql) => {
      const [row] = await query(sql);
      return row === undefined ? undefined : (await assemble(sql, [row]))[0];
    });
  const replace = (target: Target, columns: Partial<ReturnType<typeof targets.encode>>) =>
    write((sql) =>
      unlessTaken(`target ${target.hostname}`, async () => {
        const { id } = target;
        const rows = await sql`UPDATE targets SET ${sql(columns)} WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
        if (rows.length === 0) return;
        await sql`DELETE FROM target_groups WHERE target_id = ${id}`;
        await sql`DELETE FROM exporters WHERE target_id = ${id}`;
        await writeParts(sql, target);
      }),
    );
  return {
    create: (target) =>
      write((sql) =>
        unlessTaken(`target ${target.hostname}`, async () => {
          await sql`INSERT INTO targets ${sql(targets.encode(target))}`;
          await writeParts(sql, target);
        }),
      ),
    get: (id, { deleted = false } = {}) =>
      one((sql) =>
        deleted
          ? sql`SELECT * FROM targets WHERE id = ${id}`
          : sql`SELECT * FROM targets WHERE id = ${id} AND deleted_at IS NULL`,
      ),
    findByHostname: (hostname) =>
      one((sql) => sql`SELECT * FROM targets WHERE hostname = ${hostname} AND deleted_at IS NULL`),
    findByKey: (keyId) => one((sql) => sql`SELECT * FROM targets WHERE key_id = ${keyId} AND deleted_at IS NULL`),
    list: (filter, page) => read((sql) => list(sql, filter, page)),
    countByStatus: () =>
      read(async (sql) => {
        const counts = { active: 0, inactive: 0, down: 0 };
        const rows: Row[] =
          await sql`SELECT status, COUNT(*) AS total FROM targets WHERE deleted_at IS NULL GROUP BY status`;
        for (const row of rows) counts[String(row["status"]) as TargetStatus] = totalOf(row);
        return counts;
      }),
    update: (target) => {
      const { hostname, ip_address, status, labels, metadata, group_key, updated_at } = targets.encode(target);
      return replace(target, { hostname, ip_address, status, labels, metadata, group_key, updated_at });
    },
    reregister: (target) => {
      const { id: _id, ...columns } = targets.encode(target);
      const {
        last_seen_at: _seen,
        report: _report,
        report_sequence: _sequence,
        deleted_at: _deleted,
        ...facts
      } = columns;
      return replace(target, facts);
    },
    recordHeartbeats: (heartbeats) =>
      write(async (sql) => {
        for (const { targetId, seenAtMs, appliedRevision } of heartbeats) {
          await sql`UPDATE targets SET last_seen_at = ${seenAtMs}, applied_revision = COALESCE(${appliedRevision ?? null}, applied_revision),
            status = CASE WHEN status = 'down' THEN 'active' ELSE status END WHERE id = ${targetId}`;
        }
      }),
    recordReport: (id, report, sequence) =>
      write(async (sql) => {
        const rows = await sql`UPDATE targets SET report = ${JSON.stringify(report)}, report_sequence = ${sequence}
          WHERE id = ${id} AND (report_sequence IS NULL OR report_sequence < ${sequence}) RETURNING id`;
        return rows.length === 1;
      }),
    markDown: (lastSeenBeforeMs) =>
      write(async (sql) => {
        const rows: Row[] = await sql`UPDATE targets SET status = 'down' WHERE status = 'active' AND key_id IS NOT NULL
          AND deleted_at IS NULL AND COALESCE(last_seen_at, created_at) < ${lastSeenBeforeMs} RETURNING id`;
        return Array.from(rows, idOf);
      }),
    setDeleted: (id, atMs) =>
      write((sql) => unlessTaken("a target with this host name or key", () => setDeleted(sql, "targets", id, atMs))),
    purge: (id) => write((sql) => purge(sql, "targets", id)),
  };
}

async function list(sql: SQL, filter: TargetFilter, { limit, offset }: Page): Promise<Listing<Target>> {
  const live = filter.deleted === true ? sql`t.deleted_at IS NOT NULL` : sql`t.deleted_at IS NULL`;
  const byHostname = filter.hostname === undefined ? sql`` : sql`AND t.hostname = ${filter.hostname}`;
  const byStatus = filter.status === undefined ? sql`` : sql`AND t.status = ${filter.status}`;
  const byGroup =
    filter.groupId === undefined
      ? sql``
      : sql`AND EXISTS (SELECT 1 FROM target_groups g WHERE g.target_id = t.id AND g.group_id = ${filter.groupId})`;
  const byExporter =
    filter.exporterType === undefined
      ? sql``
      : sql`AND EXISTS (SELECT 1 FROM exporters e WHERE e.target_id = t.id AND e.type = ${filter.exporterType})`;
  const where = sql`${live} ${byHostname} ${byStatus} ${byGroup} ${byExporter}`;
  // Labels are few per target and free in name: they are compared here rather than by each engine's JSON dialect.
  if (filter.labels !== undefined) {
    const wanted = Object.entries(filter.labels);
    const rows: Row[] = await sql`SELECT t.* FROM targets t WHERE ${where} ORDER BY t.hostname, t.id`;
    const matching = Array.from(rows).filter((row) => {
      const labels = labelColumn.decode(row["labels"]);
      return wanted.every(([name, value]) => labels[name] === value);
    });
    return { items: await assemble(sql, matching.slice(offset, offset + limit)), total: matching.length };
  }
  const [count] = await sql`SELECT COUNT(*) AS total FROM targets t WHERE ${where}`;
  const rows: Row[] =
    await sql`SELECT t.* FROM targets t WHERE ${where} ORDER BY t.hostname, t.id LIMIT ${limit} OFFSET ${offset}`;
  return { items: await assemble(sql, Array.from(rows)), total: totalOf(count) };
}

async function writeParts(sql: SQL, { id, group_ids, exporters }: Target): Promise<void> {
  for (const [position, group_id] of group_ids.entries()) {
    await sql`INSERT INTO target_groups ${sql({ target_id: id, group_id, position })}`;
  }
  for (const [position, exporter] of exporters.entries()) {
    const row = { ...exporterRows.encode(exporter), target_id: id, position };
    await sql`INSERT INTO exporters ${sql(row)}`;
  }
}

// SQLite takes at most 32,766 parameters; a page of rows is looked up in pieces.
const batchSize = 1000;

async function assemble(sql: SQL, rows: readonly Row[]): Promise<Target[]> {
  const groups = new Map<string, string[]>();
  const exporters = new Map<string, TargetExporter[]>();
  for (let start = 0; start < rows.length; start += batchSize) {
    const ids = rows.slice(start, start + batchSize).map(idOf);
    const members: Row[] =
      await sql`SELECT target_id, group_id FROM target_groups WHERE target_id IN ${sql(ids)} ORDER BY target_id, position`;
    for (const row of members) append(groups, String(row["target_id"]), String(row["group_id"]));
    const found: Row[] = await sql`SELECT * FROM exporters WHERE target_id IN ${sql(ids)} ORDER BY target_id, position`;
    for (const row of found) append(exporters, String(row["target_id"]), exporterRows.decode(row));
  }
  return rows.map((row) => {
    const target = targets.decode(row);
    return { ...target, group_ids: groups.get(target.id) ?? [], exporters: exporters.get(target.id) ?? [] };
  });
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
