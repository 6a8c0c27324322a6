import { cpSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";

const sickCodes = /^(EROFS|ENOSPC|EDQUOT|EIO|SQLITE_FULL|SQLITE_READONLY|SQLITE_IOERR)/;

/** Whether a failure is the disk's own (read-only, full, I/O errors), and not somebody's mistake. */
export function isSickDisk(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (sickCodes.test(String((cause as { code?: unknown }).code))) return true;
  }
  return false;
}

/** A private copy of the state in memory, with whatever of it can still be read. */
export function copyToMemory(directory: string, bases: readonly string[] = ["/run", "/dev/shm"]): string {
  const base = bases.find((path) => existsSync(path)) ?? bases[0] ?? "/run";
  const copy = mkdtempSync(join(base, "aami-state-"));
  mkdirSync(copy, { recursive: true, mode: 0o700 });
  for (const name of ["identity.json", "state.db", "state.db-wal"]) {
    const from = join(directory, name);
    if (existsSync(from)) cpSync(from, join(copy, name));
  }
  return copy;
}
