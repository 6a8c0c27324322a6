import type { SQL } from "bun";
import { json, number, optional, text } from "./columns.ts";

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

/** All but the text, which a query joins as `content`. */
export const scriptColumns = {
  name: text,
  script_type: text,
  language: text,
  version: text,
  hash: text,
  default_config: json<Script["default_config"]>(),
  description: text,
  interval_seconds: optional(number),
  schedule: optional(text),
  timeout_seconds: number,
  permissions: json<Script["permissions"]>(),
};
