import { ConflictError } from "../../protocol/errors.ts";
import type { Row } from "./columns.ts";
import { uniqueViolation } from "./database.ts";

/** Of a `SELECT COUNT(*) AS total`. */
export const totalOf = (row: Row): number => Number(row["total"]);

/** An object without its undefined members, as exactOptionalPropertyTypes wants it. */
export function compact<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

/** Runs an insert or update and says which resource a unique index protects. */
export async function unlessTaken<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (uniqueViolation(error) !== undefined) throw new ConflictError("ALREADY_EXISTS", `${what} exists already`);
    throw error;
  }
}

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

export interface Listing<T> {
  readonly items: readonly T[];
  readonly total: number;
}
