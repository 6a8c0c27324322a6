/** A row as the driver returns it: PostgreSQL's BIGINT arrives as text. */
export type Row = Readonly<Record<string, unknown>>;

/** How a value is kept in a column. */
export interface Column<T> {
  readonly decode: (stored: unknown) => T;
  readonly encode: (value: T) => unknown;
}

const asIs = (value: unknown): unknown => value;

export const text: Column<string> = { decode: String, encode: asIs };
export const number: Column<number> = { decode: Number, encode: asIs };
export const flag: Column<boolean> = { decode: (stored) => Number(stored) === 1, encode: (value) => (value ? 1 : 0) };

/** A text of which the writer has seen to it that it is one of a few. */
export const word = <T extends string>(): Column<T> => ({ decode: (stored) => String(stored) as T, encode: asIs });

export const json = <T>(): Column<T> => ({
  decode: (stored) => JSON.parse(String(stored)) as T,
  encode: (value) => JSON.stringify(value),
});

/** NULL is undefined. */
export const optional = <T>(column: Column<T>): Column<T | undefined> => ({
  decode: (stored) => (stored === null || stored === undefined ? undefined : column.decode(stored)),
  encode: (value) => (value === undefined ? null : column.encode(value)),
});

type Columns<T> = { readonly [K in keyof T]-?: Column<{} extends Pick<T, K> ? T[K] | undefined : T[K]> };

export interface RowFormat<T> {
  /** Other columns of the row, of a join, are left out. */
  decode(row: Row): T;
  /** Other members of the value are left out. */
  encode(value: T): { [K in keyof T]-?: unknown };
}

/** Members and columns have the same names. */
export function rowFormat<T extends object>(columns: Columns<T>): RowFormat<T> {
  const entries = Object.entries(columns) as [keyof T & string, Column<unknown>][];
  return {
    decode: (row) => {
      const members = entries.map(([name, column]) => [name, column.decode(row[name])] as const);
      return Object.fromEntries(members.filter(([, member]) => member !== undefined)) as T;
    },
    encode: (value) =>
      Object.fromEntries(entries.map(([name, column]) => [name, column.encode(value[name])])) as ReturnType<
        RowFormat<T>["encode"]
      >,
  };
}

/** Of rows that are deleted softly; milliseconds. */
export interface Lifetime {
  readonly created_at: number;
  readonly updated_at: number;
  readonly deleted_at?: number;
}

export const lifetime: Columns<Lifetime> = { created_at: number, updated_at: number, deleted_at: optional(number) };
