import type { SQL } from "bun";
import type { Runner } from "./database.ts";
import {
  compact,
  flag,
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

export interface Target {
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
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at?: number;
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

export function createTargetStore({ read, write }: Runner): TargetStore {
  const one = (query: (sql: SQL) => Promise<Row[]>) =>
    read(async (sql) => {
      const [row] = await query(sql);
      return row === undefined ? undefined : (await assemble(sql, [row]))[0];
    });
  const replace = (target: Target, columns: Partial<ReturnType<typeof encode>>) =>
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
          await sql`INSERT INTO targets ${sql(encode(target))}`;
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
        for (const row of rows) counts[text(row, "status") as TargetStatus] = number(row, "total");
        return counts;
      }),
    update: (target) => {
      const { hostname, ip_address, status, labels, metadata, group_key, updated_at } = encode(target);
      return replace(target, { hostname, ip_address, status, labels, metadata, group_key, updated_at });
    },
    reregister: (target) => {
      const { id: _id, ...columns } = encode(target);
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
        return Array.from(rows, (row) => text(row, "id"));
      }),
    setDeleted: (id, atMs) =>
      write((sql) =>
        unlessTaken("a target with this host name or key", async () => {
          const rows =
            atMs === undefined
              ? await sql`UPDATE targets SET deleted_at = NULL WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`
              : await sql`UPDATE targets SET deleted_at = ${atMs} WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
          return rows.length === 1;
        }),
      ),
    purge: (id) =>
      write(
        async (sql) =>
          (await sql`DELETE FROM targets WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`).length === 1,
      ),
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
      const labels = json<Record<string, string>>(row, "labels");
      return wanted.every(([name, value]) => labels[name] === value);
    });
    return { items: await assemble(sql, matching.slice(offset, offset + limit)), total: matching.length };
  }
  const [count] = await sql`SELECT COUNT(*) AS total FROM targets t WHERE ${where}`;
  const rows: Row[] =
    await sql`SELECT t.* FROM targets t WHERE ${where} ORDER BY t.hostname, t.id LIMIT ${limit} OFFSET ${offset}`;
  return { items: await assemble(sql, Array.from(rows)), total: number(count, "total") };
}

async function writeParts(sql: SQL, { id, group_ids, exporters }: Target): Promise<void> {
  for (const [position, group_id] of group_ids.entries()) {
    await sql`INSERT INTO target_groups ${sql({ target_id: id, group_id, position })}`;
  }
  for (const [position, exporter] of exporters.entries()) {
    const row = {
      ...exporter,
      target_id: id,
      position,
      enabled: exporter.enabled ? 1 : 0,
      scrape_interval: exporter.scrape_interval ?? null,
      scrape_timeout: exporter.scrape_timeout ?? null,
      config: JSON.stringify(exporter.config),
    };
    await sql`INSERT INTO exporters ${sql(row)}`;
  }
}

// SQLite takes at most 32,766 parameters; a page of rows is looked up in pieces.
const batchSize = 1000;

async function assemble(sql: SQL, rows: readonly Row[]): Promise<Target[]> {
  const groups = new Map<string, string[]>();
  const exporters = new Map<string, TargetExporter[]>();
  for (let start = 0; start < rows.length; start += batchSize) {
    const ids = rows.slice(start, start + batchSize).map((row) => text(row, "id"));
    const members: Row[] =
      await sql`SELECT target_id, group_id FROM target_groups WHERE target_id IN ${sql(ids)} ORDER BY target_id, position`;
    for (const row of members) append(groups, text(row, "target_id"), text(row, "group_id"));
    const found: Row[] = await sql`SELECT * FROM exporters WHERE target_id IN ${sql(ids)} ORDER BY target_id, position`;
    for (const row of found) append(exporters, text(row, "target_id"), decodeExporter(row));
  }
  return rows.map((row) => decode(row, groups.get(text(row, "id")) ?? [], exporters.get(text(row, "id")) ?? []));
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function encode({ group_ids: _groups, exporters: _exporters, ...target }: Target) {
  return {
    ...target,
    labels: JSON.stringify(target.labels),
    metadata: JSON.stringify(target.metadata),
    inventory: JSON.stringify(target.inventory),
    instance_id: target.instance_id ?? null,
    boot_id: target.boot_id ?? null,
    daemon_version: target.daemon_version ?? null,
    public_key: target.public_key ?? null,
    key_id: target.key_id ?? null,
    token_id: target.token_id ?? null,
    last_seen_at: target.last_seen_at ?? null,
    applied_revision: target.applied_revision ?? null,
    report: target.report === undefined ? null : JSON.stringify(target.report),
    report_sequence: target.report_sequence ?? null,
    deleted_at: target.deleted_at ?? null,
  };
}

const decodeExporter = (row: Row): TargetExporter =>
  compact<TargetExporter>({
    id: text(row, "id"),
    type: text(row, "type"),
    port: number(row, "port"),
    enabled: flag(row, "enabled"),
    scheme: text(row, "scheme") === "https" ? "https" : "http",
    metrics_path: text(row, "metrics_path"),
    scrape_interval: optionalText(row, "scrape_interval"),
    scrape_timeout: optionalText(row, "scrape_timeout"),
    config: json(row, "config"),
  });

const decode = (row: Row, groupIds: readonly string[], exporters: readonly TargetExporter[]): Target =>
  compact<Target>({
    id: text(row, "id"),
    hostname: text(row, "hostname"),
    ip_address: text(row, "ip_address"),
    status: text(row, "status") as TargetStatus,
    labels: json(row, "labels"),
    metadata: json(row, "metadata"),
    inventory: json(row, "inventory"),
    instance_id: optionalText(row, "instance_id"),
    boot_id: optionalText(row, "boot_id"),
    daemon_version: optionalText(row, "daemon_version"),
    public_key: optionalText(row, "public_key"),
    key_id: optionalText(row, "key_id"),
    token_id: optionalText(row, "token_id"),
    group_key: text(row, "group_key"),
    group_ids: groupIds,
    exporters,
    last_seen_at: optionalNumber(row, "last_seen_at"),
    applied_revision: optionalText(row, "applied_revision"),
    report: row["report"] === null ? undefined : json(row, "report"),
    report_sequence: optionalNumber(row, "report_sequence"),
    created_at: number(row, "created_at"),
    updated_at: number(row, "updated_at"),
    deleted_at: optionalNumber(row, "deleted_at"),
  });
