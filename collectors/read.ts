import { existsSync, readdirSync, statSync } from "node:fs";
import type { Detection } from "./collector.ts";
import type { Host } from "./host.ts";
import { createOpenFiles } from "./open-files.ts";

const openFiles = createOpenFiles();

/** "ENOENT", "EACCES", … of a failed system call; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = errnoOf(error);
  return code !== undefined && codes.includes(code);
}

/** The readings from here on are a new collection: where names of files lead is looked up again, once for each folder. */
export function beginReadings(): void {
  openFiles.beginRound();
}

/** The whole file as UTF-8; throws the system's error. procfs and sysfs files are small and say size 0 or 4096. */
export function readText(path: string): string {
  return openFiles.read(path);
}

/** The number, where the file holds a decimal integer and nothing else; its text otherwise. Throws as readText does. */
export function readIntegerOrText(path: string): number | string {
  return openFiles.readIntegerOrText(path);
}

/** Undefined when the file (or a folder above it) is not there; any other failure throws. */
export function readTextIfPresent(path: string): string | undefined {
  return ifPresent(path, readText);
}

/** For one of many sysfs attributes: undefined when absent, and when unreadable too, which is then reported once. */
export function readAttribute(host: Host, path: string): string | undefined {
  return readIfReadable(host, path, readText)?.trimEnd();
}

/** Paths that were not there when last looked at: to ask costs a quarter of what a failing open does. */
const absent = new Set<string>();
const absentLimit = 4096;

function ifPresent<T>(path: string, read: (path: string) => T): T | undefined {
  try {
    if (absent.size > 0 && absent.has(path)) {
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
      absent.delete(path);
    }
    return read(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    if (absent.size < absentLimit) absent.add(path);
    return undefined;
  }
}

function readIfReadable<T>(host: Host, path: string, read: (path: string) => T): T | undefined {
  try {
    return ifPresent(path, read);
  } catch (error) {
    host.skipped(path, error);
    return undefined;
  }
}

/** A sysfs attribute that holds one number, decimal or 0x. Undefined, and reported once, when it holds something else. */
export function readNumber(host: Host, path: string): number | undefined {
  const reading = readIfReadable(host, path, readIntegerOrText);
  if (typeof reading !== "string") return reading;
  const text = reading.trimEnd();
  const value = parseDecimal(text) ?? (/^0x[0-9a-f]+$/i.test(text) ? Number(text) : undefined);
  if (value === undefined) host.skipped(path, new Error(`not a number: ${JSON.stringify(text.slice(0, 40))}`));
  return value;
}

/** A decimal number and nothing else; undefined for "", "0x1f", "N/A (no PMA)". Past 2^53 rounded as any float64. */
export function parseDecimal(text: string): number | undefined {
  return /^\s*[+-]?\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
}

/** The answer for `detect` of a source that is there when one path is. */
export function detectPath(path: string, reason: string): Detection {
  return existsSync(path) ? { supported: true } : { supported: false, reason };
}

/** Entry names in byte order; empty when the folder is not there. */
export function listIfPresent(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

/**
 * Names of the files of one device in byte order, the same array as long as they are the same; empty when the folder is
 * not there. Drivers make them with the device: one that comes later may be found a minute later, one that goes is not
 * readable at once.
 */
export function listAttributes(path: string): readonly string[] {
  try {
    return openFiles.list(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}
