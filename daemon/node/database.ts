import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import { migrations } from "./migrations.ts";

export interface OpenDatabaseOptions {
  readonly path: string;
  readonly log: Logger;
  readonly now: () => number;
  /** Version of this program, for the message when a later one has written the file. */
  readonly programVersion: string;
  readonly maxBytes: number;
}

/** The file is not a database of ours, or its pages do not fit together. */
class DamagedError extends Error {
  override readonly name = "DamagedError";
}

/**
 * Opens the state database, creating and migrating it as needed. A damaged file is kept under another name and an empty
 * one started, because everything in it can be fetched or measured again. A file that may not be read, is in use, or was
 * written by a newer version is left alone: `ExitError`.
 */
export function openDatabase(options: OpenDatabaseOptions): Database {
  const { path, log } = options;
  prepareFile(path);
  try {
    return openAndMigrate(options);
  } catch (error) {
    if (!(error instanceof DamagedError)) throw toExitError(error, path);
    const keptAt = moveAside(options);
    log.error("state database is damaged, starting with an empty one", { path, kept_at: keptAt, error });
  }
  prepareFile(path);
  return openAndMigrate(options);
}

// SQLite gives -wal the mode of the database file, so creating that file first is enough to keep all of it private.
function prepareFile(path: string): void {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    refuseForeignDirectory(directory, path);
    chmodSync(directory, 0o700);
    if (existsSync(path)) chmodSync(path, 0o600);
    else closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    throw toExitError(error, path);
  }
}

/** What is made private must be ours alone: not /tmp, not /etc. systemd gives an empty folder that others may enter. */
function refuseForeignDirectory(directory: string, path: string): void {
  const mode = statSync(directory).mode & 0o7777;
  if ((mode & 0o077) === 0 || existsSync(path) || readdirSync(directory).length === 0) return;
  throw new ExitError(
    ExitCode.badConfiguration,
    `state_directory ${directory} holds other files and others may enter it (mode ${mode.toString(8)}): ` +
      "name a folder that only the daemon uses",
  );
}

function openAndMigrate(options: OpenDatabaseOptions): Database {
  let database: Database | undefined;
  try {
    database = new Database(options.path, { readwrite: true, create: false, strict: true });
    database.run("PRAGMA busy_timeout = 2000");
    // One daemon per state directory; it also keeps the WAL index in memory instead of in a file.
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = FULL");
    database.run("PRAGMA journal_size_limit = 4194304");
    database.run(`PRAGMA max_page_count = ${Math.floor(options.maxBytes / 4096)}`);
    checkPages(database);
    migrate(database, options);
    return database;
  } catch (error) {
    database?.close(true);
    throw isDamage(error) ? new DamagedError(messageOf(error), { cause: error }) : error;
  }
}

function checkPages(database: Database): void {
  const row = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
  if (row?.quick_check !== "ok") throw new DamagedError(row?.quick_check ?? "quick_check gave no answer");
}

function migrate(database: Database, { path, programVersion }: OpenDatabaseOptions): void {
  const applied = database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
  if (applied > migrations.length) throw newerVersion(database, { path, applied, programVersion });
  const tables = database.query<{ n: number }, []>("SELECT count(*) AS n FROM sqlite_schema").get()?.n ?? 0;
  if (applied === 0 && tables > 0) throw new DamagedError("the file has tables that are not ours");
  if (applied === migrations.length && readWriter(database) === programVersion) return; // a full disk must not stop a start
  database
    .transaction(() => {
      for (const migration of migrations.slice(applied)) database.run(migration);
      database.run(`PRAGMA user_version = ${migrations.length}`);
      database.query("INSERT OR REPLACE INTO meta (key, value) VALUES ('written_by', ?)").run(programVersion);
    })
    .immediate();
}

function newerVersion(
  database: Database,
  { path, applied, programVersion }: { path: string; applied: number; programVersion: string },
): ExitError {
  let writtenBy = "a newer aami";
  try {
    writtenBy = `aami ${readWriter(database)}`;
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error; // a later schema may have no such table
  }
  return new ExitError(
    ExitCode.badConfiguration,
    `${path} was written by ${writtenBy} (schema ${applied}); this is aami ${programVersion} (schema ${migrations.length}): ` +
      "install that version again, or move the file away to start with an empty state",
  );
}

function readWriter(database: Database): string | undefined {
  return database.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'written_by'").get()?.value;
}

function moveAside({ path, now }: OpenDatabaseOptions): string {
  const keptAt = `${path}.damaged-${new Date(now()).toISOString().replace(/[-:]|\.\d+/g, "")}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, keptAt + suffix);
  }
  return keptAt;
}

function isDamage(error: unknown): boolean {
  if (error instanceof DamagedError) return true;
  return error instanceof SQLiteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code ?? "");
}

function toExitError(error: unknown, path: string): unknown {
  if (error instanceof ExitError) return error;
  const code = (error as { code?: unknown }).code;
  if (code === "SQLITE_BUSY") {
    return new ExitError(ExitCode.failure, `${path} is in use by another aami process: one daemon per state directory`);
  }
  return new ExitError(ExitCode.failure, `cannot open the state database ${path}: ${messageOf(error)}`, {
    cause: error,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
