import { SQL } from "bun";
import { chmodSync, existsSync, realpathSync } from "node:fs";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { lockFile } from "./file-lock.ts";

/** Where repositories run their statements: outside a transaction, or inside the one that was handed to them. */
export interface Runner {
  read<T>(work: (sql: SQL) => Promise<T>): Promise<T>;
  write<T>(work: (sql: SQL) => Promise<T>): Promise<T>;
}

export interface Database extends Runner {
  readonly dialect: "sqlite" | "postgres";
  transaction<T>(work: (runner: Runner) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** `sqlite:///path/aami.db` or `postgres://…`. */
export async function openDatabase(url: string): Promise<Database> {
  if (/^postgres(?:ql)?:\/\//.test(url)) return openPostgres(url);
  const match = /^sqlite:\/\/(.+)$/.exec(url);
  if (match?.[1] === undefined) {
    throw new ExitError(
      ExitCode.badConfiguration,
      `database URL must begin with sqlite:// or postgres://: ${redact(url)}`,
    );
  }
  return openSqlite(match[1]);
}

/** A URL without its password, for messages. */
export function redact(url: string): string {
  // To the last @: a password may hold any of the characters that end one elsewhere.
  return url.replace(/\/\/([^:@]*):.*@/, "//$1:***@").replace(/([?&]password=)[^&]*/i, "$1***");
}

async function openSqlite(filename: string): Promise<Database> {
  const fresh = !existsSync(filename);
  const cannot = (error: unknown) =>
    new ExitError(ExitCode.failure, `cannot use the database ${filename}: ${reasonOf(error)}`, { cause: error });
  const lock = lockOr(filename, cannot);
  const writer = new SQL({ adapter: "sqlite", filename });
  const reader = fresh ? undefined : new SQL({ adapter: "sqlite", filename });
  try {
    await writer.unsafe("PRAGMA journal_mode = WAL");
    for (const sql of [writer, reader])
      await sql?.unsafe("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON");
    if (fresh) chmodSync(filename, 0o600);
    await writer`SELECT name FROM sqlite_master LIMIT 1`;
  } catch (error) {
    lock.release();
    throw cannot(error);
  }
  return sqliteDatabase(writer, reader ?? new SQL({ adapter: "sqlite", filename }), lock.release);
}

function lockOr(filename: string, cannot: (error: unknown) => ExitError): ReturnType<typeof lockFile> {
  try {
    // The same file by another name is the same database.
    return lockFile(existsSync(filename) ? realpathSync(filename) : filename);
  } catch (error) {
    throw error instanceof ExitError ? error : cannot(error);
  }
}

// A Bun SQL client of SQLite is one connection: a statement issued while a transaction is open would become part of
// it. Writers therefore queue, and readers have a connection of their own, which sees only what is committed.
function sqliteDatabase(writer: SQL, reader: SQL, release: () => void): Database {
  let tail: Promise<unknown> = Promise.resolve();
  const exclusive = <T>(work: (sql: SQL) => Promise<T>): Promise<T> => {
    const result = tail.then(() => writer.begin(work));
    tail = result.catch(() => undefined);
    return result;
  };
  return {
    dialect: "sqlite",
    read: (work) => work(reader),
    write: exclusive,
    transaction: (work) => exclusive((sql) => work(inside(sql))),
    close: async () => {
      await tail;
      await reader.close();
      await writer.close();
      release();
    },
  };
}

async function openPostgres(url: string): Promise<Database> {
  const pool = new SQL({ url, max: 20, idleTimeout: 60, connectionTimeout: 10 });
  try {
    await pool`SELECT 1`;
  } catch (error) {
    await pool.close();
    throw new ExitError(ExitCode.failure, `cannot reach the database ${redact(url)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return {
    dialect: "postgres",
    read: (work) => work(pool),
    write: (work) => pool.begin(work),
    transaction: (work) => pool.begin((sql) => work(inside(sql))),
    close: () => pool.close({ timeout: 5 }),
  };
}

const inside = (sql: SQL): Runner => ({ read: (work) => work(sql), write: (work) => work(sql) });

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The unique index of a failed insert or update, as far as the engine names it. */
export function uniqueViolation(error: unknown): string | undefined {
  if (error instanceof SQL.SQLiteError && error.code.startsWith("SQLITE_CONSTRAINT_")) {
    return error.code === "SQLITE_CONSTRAINT_UNIQUE" || error.code === "SQLITE_CONSTRAINT_PRIMARYKEY"
      ? error.message
      : undefined;
  }
  if (error instanceof SQL.PostgresError && error.errno === "23505") return error.detail ?? error.message;
  return undefined;
}

/** PostgreSQL holds no NUL character in a text, wherever in the request it came from. */
export function isUnstorableText(error: unknown): boolean {
  return error instanceof SQL.PostgresError && error.errno === "22021";
}

/** The engine is away or cannot write now: trying again later may help, and nothing is wrong with the request. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof SQL.SQLiteError) return /^SQLITE_(?:BUSY|LOCKED|FULL|IOERR|CANTOPEN)/.test(error.code);
  if (!(error instanceof SQL.PostgresError)) return false;
  // 57: the server is shutting down; 53: it has no resources left; 3D000: the database is gone.
  return /CONNECTION|TIMEOUT/.test(error.code) || /^(?:53|57P|3D000|08)/.test(error.errno ?? "");
}
