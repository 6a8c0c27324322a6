import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync } from "node:fs";
import { ExitCode, ExitError } from "../../runtime/exit.ts";

/**
 * Holds a database file for one process, until it closes the lock or ends. The lock is SQLite's own, on a file beside:
 * on the database itself it would keep our second connection out as well. Throws ExitError when somebody has it.
 */
export function lockFile(filename: string): { release(): void } {
  const path = `${filename}-lock`;
  const database = new Database(path, { readwrite: true, create: true });
  try {
    chmodSync(path, 0o600);
    database.run("PRAGMA journal_mode = OFF"); // nothing is ever written, and no file is to lie beside
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!(error instanceof SQLiteError) || error.code !== "SQLITE_BUSY") throw error;
    const message = `${filename} is in use by another aami server; several servers share a PostgreSQL, not a file`;
    throw new ExitError(ExitCode.failure, message);
  }
  return { release: () => database.close() };
}
