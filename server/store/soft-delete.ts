import type { SQL } from "bun";

type Table = "groups" | "bootstrap_tokens" | "targets" | "script_templates" | "script_policies";

/** Hides a row, or brings it back without a time; false when there was none to do it to. */
export async function setDeleted(sql: SQL, table: Table, id: string, atMs: number | undefined): Promise<boolean> {
  const name = sql(table);
  const rows =
    atMs === undefined
      ? await sql`UPDATE ${name} SET deleted_at = NULL WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`
      : await sql`UPDATE ${name} SET deleted_at = ${atMs} WHERE id = ${id} AND deleted_at IS NULL RETURNING id`;
  return rows.length === 1;
}

/** Removes a hidden row for good. */
export async function purge(sql: SQL, table: Table, id: string): Promise<boolean> {
  return (await sql`DELETE FROM ${sql(table)} WHERE id = ${id} AND deleted_at IS NOT NULL RETURNING id`).length === 1;
}
