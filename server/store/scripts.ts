import type { SQL } from "bun";
import { json, number, optionalNumber, optionalText, type Row, text } from "./rows.ts";

/** What templates and policies have in common: a script and how to run it. */
export interface Script {
  readonly name: string;
  readonly script_type: string;
  readonly script_content: string;
  /** bash, python or builtin. */
  readonly language: string;
  readonly version: string;
  /** Hex SHA-256 of script_content. */
  readonly hash: string;
  readonly default_config: Readonly<Record<string, unknown>>;
  readonly description: string;
  /** Exactly one of interval_seconds and schedule. */
  readonly interval_seconds?: number;
  readonly schedule?: string;
  readonly timeout_seconds: number;
  readonly permissions: Readonly<Record<string, unknown>>;
}

/** Script texts are stored once, by hash, and never change. */
export async function keepScript(sql: SQL, { hash, script_content }: Script, atMs: number): Promise<void> {
  const row = { hash, content: script_content, size_bytes: Buffer.byteLength(script_content), created_at: atMs };
  await sql`INSERT INTO scripts ${sql(row)} ON CONFLICT (hash) DO NOTHING`;
}

export const encodeScript = (script: Script) => ({
  name: script.name,
  script_type: script.script_type,
  language: script.language,
  version: script.version,
  hash: script.hash,
  default_config: JSON.stringify(script.default_config),
  description: script.description,
  interval_seconds: script.interval_seconds ?? null,
  schedule: script.schedule ?? null,
  timeout_seconds: script.timeout_seconds,
  permissions: JSON.stringify(script.permissions),
});

/** Of a row joined with its script's `content`. */
export const decodeScript = (row: Row): { [K in keyof Required<Script>]: Script[K] | undefined } => ({
  name: text(row, "name"),
  script_type: text(row, "script_type"),
  script_content: text(row, "content"),
  language: text(row, "language"),
  version: text(row, "version"),
  hash: text(row, "hash"),
  default_config: json(row, "default_config"),
  description: text(row, "description"),
  interval_seconds: optionalNumber(row, "interval_seconds"),
  schedule: optionalText(row, "schedule"),
  timeout_seconds: number(row, "timeout_seconds"),
  permissions: json(row, "permissions"),
});
