import { ConflictError } from "../../protocol/errors.ts";
import { uniqueViolation } from "./database.ts";

/** A row as the driver returns it: PostgreSQL's BIGINT arrives as text. */
export type Row = Readonly<Record<string, unknown>>;

export const text = (row: Row, column: string): string => String(row[column]);
export const number = (row: Row, column: string): number => Number(row[column]);
export const flag = (row: Row, column: string): boolean => Number(row[column]) === 1;
export const optionalText = (row: Row, column: string): string | undefined =>
  row[column] === null || row[column] === undefined ? undefined : String(row[column]);
export const optionalNumber = (row: Row, column: string): number | undefined =>
  row[column] === null || row[column] === undefined ? undefined : Number(row[column]);
export const json = <T>(row: Row, column: string): T => JSON.parse(text(row, column)) as T;

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
